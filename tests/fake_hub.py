"""A hub on this machine: the requests huggingface_hub makes, answered as Hugging Face answers them, and mischief.

Large files are redirected to another path, as they are to a content network; everything asked for is remembered.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
LARGE = (".safetensors", ".bin", ".model")  # kept outside git, as everything is that is not text
UNWANTED = {  # beside a checkpoint, and never to be asked for
    "README.md": b"# A card",
    "ltx-video-2b-v0.9.5.safetensors": b"the same weights again",
    "text_encoder/pytorch_model.bin": b"a pickle",
    "text_encoder/model.fp16.safetensors": b"the same weights again, smaller",
    "vae/modeling.py": b"import os",
    "transformer/weights.ckpt": b"a pickle",
    "scheduler/notes.txt": b"words",
    "image_encoder/config.json": b"{}",
    "../evil.json": b"{}",
    "vae/../../evil.json": b"{}",
    "vae/..\\evil.json": b"{}",
    "/etc/evil.json": b"{}",
}
ANSWERS = {"RepoNotFound": 401, "GatedRepo": 403, "RevisionNotFound": 404, "EntryNotFound": 404}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; `start` is the first byte that was asked for."""

    method: str
    name: str
    start: int = 0


@dataclass
class FakeHub:
    """What is served, what goes wrong, and what was asked for.

    `files` are repository -> name -> content, at `commit`; `tokens` came with requests. Mischief, by file name: `drops`
    cut the connection once after so many bytes of a file; `stalls` wait there until `let_go`; `breaks` serve other
    content of that length; `lies` list another size; `says` tells another length of an answer; `unsatisfiable` files
    answer 416 to whoever goes on with them; `refuses` answer a name, or `list` for the list of files, with a status or
    error code.
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commit: str = COMMIT
    drops: dict[str, int] = field(default_factory=dict)
    stalls: dict[str, int] = field(default_factory=dict)
    breaks: dict[str, bytes] = field(default_factory=dict)
    lies: dict[str, int] = field(default_factory=dict)
    says: dict[str, int] = field(default_factory=dict)
    unsatisfiable: set[str] = field(default_factory=set)
    refuses: dict[str, int | str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    let_go: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    fails_after_drop: bool = False
    url: str = ""
    elsewhere: str = ""

    def add(self, repository: str, folder: Path) -> None:
        """Serve a folder's files as a repository."""
        found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        self.files[repository] = {name: path.read_bytes() for name, path in found.items()}

    def fetched(self) -> list[Asked]:
        """The requests for content."""
        return [asked for asked in self.asked if asked.method == "GET" and asked.name != "list"]

    @contextmanager
    def open(self) -> Iterator["FakeHub"]:
        """Serve on a port of 127.0.0.1 until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.elsewhere = f"http://localhost:{server.server_address[1]}"  # another host to a client
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.let_go.set()
            server.shutdown()
            server.server_close()
            thread.join()


def digests(name: str, content: bytes) -> dict[str, Any]:
    """What the hub lists of a file beside its name."""
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    listed: dict[str, Any] = {"size": len(content), "blobId": git}
    if name.endswith(LARGE):
        listed["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return listed


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing on stderr."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if "Authorization" in self.headers:
            self.hub.tokens.add(self.headers["Authorization"])
        try:
            if path.startswith("/api/models/"):
                self.list_files(path.removeprefix("/api/models/"))
            elif path.startswith("/content/"):
                repository, name = path.removeprefix("/content/").split(":")
                self.give(name, self.hub.files[repository][name], {})
            elif "/resolve/" in path:
                repository, _, rest = path.removeprefix("/").partition("/resolve/")
                self.resolve(repository, *rest.split("/", 1))
            else:
                self.refuse(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def list_files(self, path: str) -> None:
        self.hub.asked.append(Asked(self.command, "list"))
        repository = "/".join(path.split("/")[:2])
        revision = path.split("/")[3] if path.count("/") > 2 else "main"
        if refused := self.hub.refuses.get("list"):
            self.refuse(refused)
        elif repository not in self.hub.files:
            self.refuse("RepoNotFound")
        elif revision not in ("main", self.hub.commit):
            self.refuse("RevisionNotFound")
        else:
            listed = {name: digests(name, content) for name, content in self.hub.files[repository].items()}
            for name in self.hub.lies.keys() & listed.keys():
                listed[name]["size"] = self.hub.lies[name]
            if path.split("/")[2:3] == ["tree"]:
                tree = [
                    {"type": "file", "path": name, "size": entry["size"], "oid": entry["blobId"]}
                    | ({"lfs": entry["lfs"] | {"oid": entry["lfs"]["sha256"]}} if "lfs" in entry else {})
                    for name, entry in listed.items()
                ]
                self.send(200, json.dumps(tree).encode())
            else:
                siblings = [{"rfilename": name} | entry for name, entry in listed.items()]
                self.send(200, json.dumps({"id": repository, "sha": self.hub.commit, "siblings": siblings}).encode())

    def resolve(self, repository: str, revision: str, name: str) -> None:
        content = self.hub.files.get(repository, {}).get(name)
        if refused := self.hub.refuses.get(name):
            self.hub.asked.append(Asked(self.command, name))
            self.refuse(refused)
        elif content is None or revision not in ("main", self.hub.commit):
            self.hub.asked.append(Asked(self.command, name))
            self.refuse("EntryNotFound")
        else:
            listed = digests(name, content)
            headers = {"X-Repo-Commit": self.hub.commit, "ETag": f'"{listed["blobId"]}"'}
            if "lfs" not in listed:
                self.give(name, content, headers)
                return
            if self.command == "HEAD":
                self.hub.asked.append(Asked("HEAD", name))
            headers |= {"X-Linked-ETag": f'"{listed["lfs"]["sha256"]}"', "X-Linked-Size": str(len(content))}
            self.send(302, b"", headers | {"Location": f"{self.hub.elsewhere}/content/{repository}:{name}"})

    def give(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        """A file's content from the byte that was asked for, or less."""
        content = self.hub.breaks.get(name, content)
        wanted = self.headers.get("Range", "") if self.hub.ranges else ""
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.hub.asked.append(Asked(self.command, name, start))
        if wanted and name in self.hub.unsatisfiable:
            self.refuse(416)
            return
        if self.command == "GET" and name in self.hub.says:
            headers |= {"Content-Length": str(self.hub.says[name] - start)}
            self.close_connection = True
        if wanted:
            headers |= {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        cut = self.hub.drops.pop(name, None) if self.command == "GET" else None
        if cut is not None and self.hub.fails_after_drop:
            self.hub.refuses[name] = 500
        self.send(206 if wanted else 200, content[start:], headers, name=name, cut=cut)

    def refuse(self, why: int | str) -> None:
        status = ANSWERS[why] if isinstance(why, str) else why
        self.send(status, b"{}", {"X-Error-Code": why} if isinstance(why, str) else {})

    def send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, name: str = "", cut: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if name in self.hub.stalls:
            self.wfile.write(body[: self.hub.stalls[name]])
            self.wfile.flush()
            self.hub.stalled.set()
            self.hub.let_go.wait(60)
            cut = 0
            body = b""
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = self.close_connection or cut is not None
