"""The studio as a person starts it, in a folder of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
START_SECONDS = 180


class Studio:
    """`python app.py` with its drafts in `folder`, while the block lasts; `answered_seconds` from its command to its
    first answer."""

    def __init__(self, folder: Path) -> None:
        self.drafts = folder / "drafts"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        port = self.url.rpartition(":")[2].strip("/")
        self._command = [sys.executable, "app.py", "--port", port, "--drafts", str(self.drafts), "--no-browser"]
        self.answered_seconds = 0.0

    def __enter__(self) -> Self:
        began = time.monotonic()
        self._app = subprocess.Popen(self._command, cwd=ROOT, stderr=subprocess.DEVNULL, env=dict(os.environ))
        while time.monotonic() < began + START_SECONDS:
            try:
                urllib.request.urlopen(self.url, timeout=2).close()
                break
            except OSError:
                time.sleep(0.02)
        self.answered_seconds = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._app.send_signal(signal.SIGTERM)
        self._app.wait(timeout=60)


def copy_drafts(drafts: Path, count: int) -> None:
    """As many more finished drafts, from the newest."""
    newest = max(path.parent for path in drafts.glob("*/draft.mp4"))
    for index in range(count):
        shutil.copytree(newest, drafts / f"20260101-{index:06d}-{secrets.token_hex(8)}")
