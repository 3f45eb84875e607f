"""The media route: slices and videos of a draft, whole and in ranges; nothing else in the drafts folder or outside."""

import asyncio
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline.studio.media import MOST_ARCHIVES, media_route
from pipeline.video.mp4 import write_slice

DRAFT = "20260101-120000-0123456789abcdef"
CONTENT = bytes(range(256)) * 4


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    folder = tmp_path / "drafts" / DRAFT
    folder.mkdir(parents=True)
    for name in ("draft.mp4", "slice-000.mp4", "other.mp4", "request.json", "events.jsonl"):
        (folder / name).write_bytes(CONTENT)
    (tmp_path / "drafts" / "draft.mp4").write_bytes(CONTENT)
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (folder / "slice-001.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "slice-002.mp4").mkdir()
    with TestClient(Starlette(routes=[media_route(tmp_path / "drafts")])) as client:
        yield client


@pytest.mark.parametrize("file", ["draft.mp4", "slice-000.mp4"])
def test_media_of_a_draft_is_served(client: TestClient, file: str) -> None:
    answer = client.get(f"/media/{DRAFT}/{file}")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_range_is_served(client: TestClient) -> None:
    answer = client.get(f"/media/{DRAFT}/draft.mp4", headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, CONTENT[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"/media/{DRAFT}/request.json", id="request"),
        pytest.param(f"/media/{DRAFT}/events.jsonl", id="events"),
        pytest.param(f"/media/{DRAFT}/other.mp4", id="another name"),
        pytest.param(f"/media/{DRAFT}/slice-009.mp4", id="not there"),
        pytest.param(f"/media/{DRAFT}/slice-001.mp4", id="a link out of the folder"),
        pytest.param(f"/media/{DRAFT}/slice-002.mp4", id="a folder"),
        pytest.param(f"/media/{DRAFT}/draft.mp4%0A", id="a line's end"),
        pytest.param(f"/media/{DRAFT}/draft.mp4%00", id="a zero byte"),
        pytest.param(f"/media/{DRAFT}/", id="no file"),
        pytest.param("/media/20260101-120000-fedcba9876543210/draft.mp4", id="no draft"),
        pytest.param("/media/../draft.mp4", id="dots"),
        pytest.param("/media/%2e%2e/secret.mp4", id="encoded dots"),
        pytest.param("/media/..%2f..%2f/secret.mp4", id="encoded slashes"),
        pytest.param(f"/media/{DRAFT}/..%2f..%2f..%2fsecret.mp4", id="encoded way out"),
        pytest.param("/media/./draft.mp4", id="a dot"),
    ],
)
@pytest.mark.fault(37)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert b"secret" not in answer.content
    assert CONTENT not in answer.content


def test_frames_are_served_as_a_zip_under_a_name_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / DRAFT
    folder.mkdir()
    write_slice(np.zeros((9, 32, 48, 3), np.uint8), folder / "draft.mp4", fps=24)
    with TestClient(Starlette(routes=[media_route(tmp_path)])) as client:
        for _ in range(MOST_ARCHIVES + 1):  # every one gives its turn back
            answer = client.get(f"/media/{DRAFT}/frames.zip")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        assert answer.headers["content-disposition"] == 'attachment; filename="rushes-20260101-120000-frames.zip"'
        assert len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) == 9
        assert client.get("/media/20260101-120000-fedcba9876543210/frames.zip").status_code == 404


def test_more_archives_at_once_than_there_are_turns_are_asked_to_come_again(tmp_path: Path) -> None:
    folder = tmp_path / DRAFT
    folder.mkdir()
    (folder / "draft.mp4").write_bytes(CONTENT)
    serve = media_route(tmp_path).endpoint
    request: Any = SimpleNamespace(path_params={"draft": DRAFT, "file": "frames.zip"}, method="GET")
    codes = [asyncio.run(serve(request)).status_code for _ in range(MOST_ARCHIVES + 1)]
    assert codes == [200] * MOST_ARCHIVES + [503]
