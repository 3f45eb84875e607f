"""A running page against what has broken pages like it: traversal, server-side requests, injection, size, floods.

The tests named after an advisory are those of Gradio's and Starlette's that a page of this kind could meet again.
"""

import http.server
import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from pipeline.drafts.journal import new_draft_id
from pipeline.studio.guard import LARGEST_BODY_BYTES
from tests.security.corpus import LEADS_AWAY, SENTENCES, TRAVERSALS
from tests.security.live import Answer, Studio, open_live

SECRET = f"secret-{secrets.token_hex(8)}"
HEX = "0123456789abcdef"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_live(tmp_path_factory.mktemp("studio")) as studio:
        (studio.folder / "secret.txt").write_text(SECRET)
        yield studio


@pytest.fixture(scope="module")
def draft(studio: Studio) -> str:
    """A draft's folder, with its journal and a link that leads out of it."""
    name = new_draft_id()
    folder = studio.drafts / name
    folder.mkdir()
    files = ("request.json", "plan.json", "events.jsonl", "embeddings.safetensors", "chunk-000.latents.safetensors")
    for file in files:
        (folder / file).write_text(SECRET)
    (folder / "draft.mp4").write_bytes(b"a film")
    (folder / "linked.mp4").symlink_to(studio.folder / "secret.txt")
    (folder / "slice-000.mp4").symlink_to(studio.folder / "secret.txt")
    return name


class Canary(http.server.BaseHTTPRequestHandler):
    """Notes whoever asks."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def canary() -> Iterator[int]:
    """The port of a server that nobody must ask."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def lives(studio: Studio) -> bool:
    return studio.process.poll() is None and studio.ask("/config").status == 200


# Paths --------------------------------------------------------------------------------------------------------------
@pytest.mark.fault(37)
@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_to_a_secret(studio: Studio, draft: str, path: str) -> None:
    secret = str(studio.folder / "secret.txt")
    for method in ("GET", "HEAD", "POST"):
        answer = studio.ask(path.format(draft=draft, secret=secret), method=method)
        assert SECRET.encode() not in answer.body
        assert answer.status == 200 if path.startswith("/?") and method != "POST" else answer.status >= 300


@pytest.mark.fault(37)
def test_a_drafts_film_is_served_and_a_link_in_its_place_is_not(studio: Studio, draft: str) -> None:
    assert studio.ask(f"/media/{draft}/draft.mp4").body == b"a film"
    assert studio.ask(f"/media/{draft}/slice-000.mp4").status == 404


@pytest.mark.parametrize("path", LEADS_AWAY)
def test_no_path_leads_to_another_server(studio: Studio, canary: int, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        answer = studio.ask(path.format(port=canary), method=method)
        assert answer.status >= 400
        assert "location:" not in answer.head
    assert Canary.asked == []


# Bodies -------------------------------------------------------------------------------------------------------------
def call(studio: Studio, name: str, *data: object) -> Answer:
    """An endpoint's answer, as the browser's client asks for it without the queue."""
    body = json.dumps({"data": data}).encode()
    answer = studio.ask(f"/gradio_api/run/{name}", method="POST", body=body)
    assert b"enough input values" not in answer.body  # it would be refused unread, whatever is in it
    return answer


def join(studio: Studio, function: int, *data: object) -> Answer:
    """An event of the page, as its script sends it."""
    body = json.dumps({"data": data, "fn_index": function, "session_hash": "abc", "event_data": None}).encode()
    return studio.ask("/gradio_api/queue/join", method="POST", body=body)


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "value",
    [
        "../../../../etc/passwd", "con", "\x00", "x" * 100_000, None, 7, [], {}, {"path": "/etc/passwd"},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "20260101-000000-0123456789abcdef/../..",
        "20260101-000000-0123456789abcdef\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("endpoint", ["status", "stop", "resume"])
def test_what_is_no_drafts_name_finds_no_draft(studio: Studio, endpoint: str, value: object) -> None:
    before = sorted(studio.folder.rglob("*"))
    answer = call(studio, endpoint, value)
    assert answer.status >= 400 or b"no such draft" in answer.body.lower(), answer.body
    assert b"root:" not in answer.body
    assert b"Traceback" not in answer.body
    assert sorted(studio.folder.rglob("*")) == before


@pytest.mark.fault(36)
def test_bodies_that_are_no_requests_are_refused_and_nothing_breaks(studio: Studio) -> None:
    bodies = (
        b"{", b"[]", b"null", b"\x00", b"\xff\xfe", b'{"data": ' + b"[" * 10_000, b'{"data": 1e999}',
        b'{"data": [], "fn_index": -1}', b'{"data": [], "fn_index": 1e9}', b'{"data": [], "fn_index": "../"}',
        b'{"data": {"__class__": "x"}, "fn_index": 0, "session_hash": "abc"}',
    )  # fmt: skip
    for body in bodies:
        for path in ("queue/join", "run/status", "call/make_draft"):
            answer = studio.ask(f"/gradio_api/{path}", method="POST", body=body)
            assert b"Traceback" not in answer.body, body
            assert b"/site-packages/" not in answer.body, body
    assert lives(studio)


@pytest.mark.fault(36)
def test_a_megabyte_of_sentence_is_refused_unread(studio: Studio) -> None:
    assert studio.ask("/gradio_api/call/make_draft", method="POST", body=b"x" * 2**20).status in (413, 0)
    chunked = b"POST /gradio_api/call/make_draft HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    count = LARGEST_BODY_BYTES // 0x10000 + 1
    assert studio.send(chunked + chunks * count + b"0\r\n\r\n").status in (413, 0)
    assert studio.send(chunked + chunks * (count - 2) + b"0\r\n\r\n").status not in (413, 0)
    assert lives(studio)


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "request_line",
    [
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
        b"POST /config HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["path", "header", "headers", "no host", "two hosts", "version", "TLS", "two lengths", "negative length"],
)
def test_what_is_no_request_is_refused(studio: Studio, request_line: bytes) -> None:
    assert studio.send(request_line).status not in range(200, 400)
    assert lives(studio)


@pytest.mark.fault(36)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -9, 0, 10**9, 1e308, "97", [], 10**400])
def test_impossible_lengths_are_refused_by_name(studio: Studio, number: object) -> None:
    answer = call(studio, "make_draft", "a red ball", number, "wide", 5, "", "miniature", "", "")
    assert answer.status >= 400
    assert b"Traceback" not in answer.body
    assert not list(studio.drafts.glob("*/events.jsonl.tmp"))


# Advisories ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/etc/passwd", "{secret}", "app.py", "pyproject.toml", "{drafts}"])
def test_cve_2023_51449_and_2024_1561_no_file_route(studio: Studio, path: str) -> None:
    """Files anywhere, through /file and through a component's server functions."""
    path = path.format(secret=studio.folder / "secret.txt", drafts=studio.drafts)
    for route in (f"/file={path}", f"/gradio_api/file={path}", f"/gradio_api/file/{path}"):
        assert studio.ask(route).status == 404
    body = json.dumps({"component_id": 1, "data": path, "fn_name": "move_resource_to_block_cache", "session_hash": "a"})
    for route in ("/component_server", "/gradio_api/component_server", "/gradio_api/component_server/"):
        assert studio.ask(route, method="POST", body=body.encode()).status == 404


def test_cve_2024_47167_no_server_side_request_through_the_queue(studio: Studio, canary: int) -> None:
    """An address in place of a value made the server fetch it."""
    address = f"http://127.0.0.1:{canary}/canary"
    file = {"path": address, "url": address, "orig_name": "x", "meta": {"_type": "gradio.FileData"}}
    config = json.loads(studio.ask("/config").body)
    for function in config["dependencies"]:
        join(studio, function["id"], *([file] * len(function["inputs"])))
        join(studio, function["id"], *([address] * len(function["inputs"])))
    for name in ("make_draft", "status", "stop", "resume"):
        call(studio, name, *[file] * 8)
    assert Canary.asked == []
    assert lives(studio)


def test_cve_2026_28416_and_2024_1728_no_proxy_and_no_upload(studio: Studio, canary: int) -> None:
    """Addresses were fetched for whoever asked, and uploads placed anywhere."""
    assert studio.ask(f"/gradio_api/proxy=http://127.0.0.1:{canary}/canary").status == 404
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="../../x"\r\n\r\nx\r\n--b--\r\n'
    kind = "Content-Type: multipart/form-data; boundary=b"
    for route in ("/upload", "/gradio_api/upload", "/gradio_api/upload?upload_id=x"):
        answer = studio.ask(route, kind, f"Content-Length: {len(part)}", method="POST", body=b"")
        assert answer.status == 404
        assert studio.ask(route, method="POST", body=part).status == 404
    assert Canary.asked == []


def test_cve_2024_47084_and_47165_no_other_origin(studio: Studio) -> None:
    """A page elsewhere, or a sandboxed frame, read answers with the visitor's own cookies."""
    for origin in ("http://evil.example", "null", "http://localhost:1", f"http://127.0.0.1:{studio.port}.evil.example"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = studio.ask("/config", f"Origin: {origin}", "Cookie: a=b", method=method)
            assert answer.status == 403
            assert "access-control-allow-origin" not in answer.head


def test_cve_2026_59806_no_redirect_to_elsewhere(studio: Studio) -> None:
    """A path that began with another server's name sent browsers there."""
    for path in ("//evil.example", "/%2f%2fevil.example", "/\\evil.example", "/file=https://evil.example", "/config//"):
        answer = studio.ask(path)
        assert answer.status in (400, 404)
        assert "location:" not in answer.head
    answer = studio.ask("/gradio_api/info/", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https")
    assert "evil.example" not in answer.head


def test_cve_2025_23042_case_does_not_matter(studio: Studio, draft: str) -> None:
    """A blocked folder was served under its name in capitals."""
    for path in (f"/MEDIA/{draft}/draft.mp4", f"/media/{draft}/Draft.mp4", f"/media/{draft.upper()}/draft.mp4"):
        assert studio.ask(path).status == 404


def test_cve_2024_8966_a_boundary_without_end_is_not_read(studio: Studio) -> None:
    """An upload's boundary followed by endless dashes kept the server busy."""
    body = b"--b" + b"-" * 200_000
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Length: {len(body)}\r\n"
    answer = studio.send(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode() + body)
    assert answer.status in (404, 0)
    assert lives(studio)


def test_dns_rebinding_a_name_of_somebody_elses_is_refused(studio: Studio) -> None:
    answer = studio.send(b"GET /config HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert answer.status == 421
    assert b"dependencies" not in answer.body


def test_a_forwarded_name_does_not_reach_the_pages_scripts_as_markup(studio: Studio) -> None:
    name = '"></script><script>window.OWNED=1</script>'
    answer = studio.ask("/", f"X-Forwarded-Host: {name}", "X-Forwarded-Proto: https")
    assert b"<script>window.OWNED" not in answer.body


# Sentences ----------------------------------------------------------------------------------------------------------
@pytest.mark.fault(36)
def test_sentences_name_no_files_and_are_answered_as_data(studio: Studio) -> None:
    before = {path for path in studio.folder.rglob("*") if path.is_file()}
    for sentence in SENTENCES:
        answer = call(
            studio, "make_draft", sentence, 3600.0, "wide", 5, "", "miniature", "", ""
        )  # too long: nothing is made
        assert answer.status >= 400
    assert {path for path in studio.folder.rglob("*") if path.is_file()} == before
    assert not list(Path.cwd().glob("OWNED"))
    assert "OWNED" not in studio.log


def test_a_drafts_name_is_not_guessable() -> None:
    names = [new_draft_id() for _ in range(1000)]
    tails = [name.rpartition("-")[2] for name in names]
    assert len(set(tails)) == 1000
    for place in range(16):
        assert {tail[place] for tail in tails} == set(HEX)
