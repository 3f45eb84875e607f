"""A studio of its own for tests from outside, and requests written byte by byte, which no library tidies up."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.source import ROOT

START_SECONDS = 120  # a busy machine; a quiet one needs a twentieth of it
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` is 0 where the connection was closed without a word."""

    status: int
    head: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Studio:
    """A running studio: where it listens, its drafts and its log."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def drafts(self) -> Path:
        return self.folder / "drafts"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def send(self, request: bytes) -> Answer:
        """Bytes as they are, and what came back until the connection was closed or nothing more came."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.sendall(request)
                while piece := connection.recv(65536):
                    received += piece
            except OSError:  # it was closed while we were still sending
                pass
        head, _, body = received.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.1 ([0-9]{3})", head)
        return Answer(int(status[1]) if status else 0, head.decode("latin-1").lower(), body)

    def ask(self, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        """One request with a path exactly as written."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Connection: close", *headers]
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        return self.send("\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body)


@contextmanager
def open_live(folder: Path, *options: str, **environment: str) -> Iterator[Studio]:
    """A studio with empty folders; its log is a file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--no-browser", "--port", str(port), "--drafts", str(folder / "drafts")]
    surroundings = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "hub")} | environment
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([*command, *options], cwd=ROOT, stdout=log, stderr=log, env=surroundings) as process,
    ):
        studio = Studio(port, folder, process)
        try:
            stop = time.monotonic() + START_SECONDS
            while "Rushes is at" not in studio.log:
                assert process.poll() is None, studio.log
                assert time.monotonic() < stop, studio.log
                time.sleep(0.1)
            yield studio
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
