"""Which file is meant, where its seams are, and its frames: all of them, small, with their colours, one at a time."""

import json
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from pipeline.drafts.journal import Journal
from pipeline.errors import DraftError, InvalidRequest
from pipeline.events import ChunkDenoised, Event
from pipeline.plan.chunks import Seam
from pipeline.seams.film import find_film, find_unchunked, read_small_frames
from pipeline.video.mp4 import join_slices, read_settings, write_slice
from tests.conftest import PlanMaker
from tests.seams import field
from tests.tiny import make_draft

SEAMS = (Seam(frame=49, faded_frames=8), Seam(frame=73, faded_frames=8))


def write_film(path: Path, frames: field.Frames, settings: dict[str, Any] | None = None) -> Path:
    """A film as drafts are written: one slice, joined, with these settings in it."""
    piece = path.with_name(f"slice-of-{path.name}")
    write_slice(frames, piece, fps=24)
    join_slices([piece], path, title="a test", settings=settings or {})
    return path


def plain(frames: int, height: int, width: int, colour: tuple[int, int, int] = (200, 60, 40)) -> field.Frames:
    return np.full((frames, height, width, 3), colour, np.uint8)


# Frames -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((480, 832), (120, 208)),
        ((704, 1216), (120, 208)),
        ((512, 512), (160, 160)),
        ((832, 480), (208, 120)),
        ((96, 128), (96, 128)),
        ((100, 300), (88, 272)),
        ((2, 4), (8, 8)),
    ],
    ids=str,
)
def test_frames_keep_their_shape_and_have_one_area(
    tmp_path: Path, size: tuple[int, int], small: tuple[int, int]
) -> None:
    film = write_film(tmp_path / "film.mp4", plain(3, *size))
    frames = list(read_small_frames(film))
    assert [frame.shape for frame in frames] == [(*small, 3)] * 3
    assert abs(frames[1].astype(int) - (200, 60, 40)).max() <= 3


def test_pictures_are_averaged_not_sampled(tmp_path: Path) -> None:
    stripes = plain(2, 480, 832, (0, 0, 0))
    stripes[:, :, ::4], stripes[:, :, 1::4] = 255, 255
    for frame in read_small_frames(write_film(tmp_path / "film.mp4", stripes)):
        assert frame.mean() == pytest.approx(127.5, abs=4)
        assert frame.std() < 10


def test_no_frame_is_lost_or_made_up_whatever_the_clock_says(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", field.clean()[:50])
    uneven = tmp_path / "uneven.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(film), "-fps_mode", "passthrough"]
    subprocess.run([*command, "-vf", "setpts='(N+3*floor(N/9))/24/TB'", str(uneven)], check=True, timeout=60)
    assert sum(1 for _ in read_small_frames(film)) == 50
    assert sum(1 for _ in read_small_frames(uneven)) == 50


def test_a_film_of_ten_bits_is_read_as_one_of_eight(tmp_path: Path) -> None:
    film, deep = write_film(tmp_path / "film.mp4", plain(9, 96, 128)), tmp_path / "deep.mkv"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(film), "-c:v", "ffv1"]
    subprocess.run([*command, "-pix_fmt", "yuv420p10le", str(deep)], check=True, timeout=60)
    frames = list(read_small_frames(deep))
    assert [frame.shape for frame in frames] == [(96, 128, 3)] * 9
    assert abs(frames[8].astype(int) - (200, 60, 40)).max() <= 3


def test_a_film_is_not_in_memory_at_once(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", plain(150, 480, 832))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_small_frames(film)) == 150
        assert tracemalloc.get_traced_memory()[1] < 10 * 120 * 208 * 3  # full size, one frame alone is more
    finally:
        tracemalloc.stop()


def test_reading_may_be_broken_off(tmp_path: Path) -> None:
    frames = read_small_frames(write_film(tmp_path / "film.mp4", plain(50, 480, 832)))
    next(frames)
    frames.close()  # a process left behind would be a ResourceWarning, which is an error here


@pytest.mark.parametrize("content", [b"", b"I am text", b"\0\0\0\x18ftypmp42"], ids=["empty", "text", "torn"])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"film\.mp4 is not a video: ffmpeg finds no picture in it\.") as refusal:
        list(read_small_frames(path))
    assert refusal.value.field == "film"


def test_a_missing_ffmpeg_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_film(tmp_path / "film.mp4", plain(2, 16, 16))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    with pytest.raises(DraftError, match=r"ffmpeg did not read film\.mp4: .*no-ffmpeg"):
        list(read_small_frames(film))

    def refuse() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", refuse)
    with pytest.raises(DraftError, match=r"ffmpeg did not read film\.mp4: No ffmpeg exe could be found"):
        list(read_small_frames(film))


# Seams --------------------------------------------------------------------------------------------------------------
def test_the_seams_of_a_film_are_those_written_in_it(tmp_path: Path) -> None:
    rows = [{"frame": seam.frame, "faded_frames": seam.faded_frames} for seam in SEAMS]
    film = write_film(tmp_path / "film.mp4", plain(2, 16, 16), {"seams": rows})
    assert find_film(str(film), tmp_path).seams == SEAMS
    assert find_film(str(film), tmp_path, at=[60, 30, 60], faded_frames=8).seams == (
        Seam(frame=30, faded_frames=8),
        Seam(frame=60, faded_frames=8),
    )


@pytest.mark.parametrize(
    "seams",
    [
        *(None, 49, "49", {"frame": 49}, [49], [None], [{}], [{"frame": 49}]),
        *([{"frame": "49", "faded_frames": 16}], [{"frame": 49.0, "faded_frames": 16}]),
        *(
            [{"frame": True, "faded_frames": 0}],
            [{"frame": 49, "faded_frames": -16}],
            [{"frame": -1, "faded_frames": 0}],
        ),
    ],
    ids=json.dumps,
)
def test_what_is_no_list_of_seams_is_none(tmp_path: Path, seams: Any) -> None:
    film = write_film(tmp_path / "film.mp4", plain(2, 16, 16), {"seams": seams})
    assert find_film(str(film), tmp_path).seams is None


@pytest.mark.parametrize("frames", [None, "97", 97.0, True, 0, -97, [97]], ids=json.dumps)
def test_what_is_no_count_of_frames_is_none(tmp_path: Path, frames: Any) -> None:
    film = write_film(tmp_path / "film.mp4", plain(2, 16, 16), {"seams": [], "film_frames": frames})
    assert find_film(str(film), tmp_path).frames is None


def test_a_film_by_somebody_else_has_no_known_seams(tmp_path: Path) -> None:
    write_slice(plain(2, 16, 16), tmp_path / "film.mp4", fps=24)
    assert find_film(str(tmp_path / "film.mp4"), tmp_path).seams is None


def test_a_film_that_names_itself_like_an_option_or_an_address_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-film.mp4", "concat:film.mp4", "红 $(film).mp4"):
        write_film(tmp_path / "film.mp4", plain(2, 16, 16), {"seams": []}).rename(tmp_path / name)
        film = find_film(name, tmp_path)
        assert film.seams == ()
        assert len(list(read_small_frames(film.path))) == 2


@pytest.mark.parametrize(("faded", "at"), [(-1, [49]), (16, [])], ids=["negative", "without a seam"])
def test_a_fade_belongs_to_a_seam(tmp_path: Path, faded: int, at: list[int]) -> None:
    with pytest.raises(InvalidRequest, match="say nothing without --at"):
        find_film(str(tmp_path), tmp_path, at=at, faded_frames=faded)


def test_drift_is_judged_by_a_film_that_has_no_seams(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", plain(2, 16, 16), {"seams": [{"frame": 49, "faded_frames": 0}]})
    with pytest.raises(InvalidRequest, match="has 2 chunks"):
        find_unchunked(str(film), tmp_path)
    write_slice(plain(2, 16, 16), film, fps=24)
    assert find_unchunked(str(film), tmp_path).seams == ()


# Drafts -------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("stopped", [False, True])
def test_a_draft_is_found_by_its_id_and_an_old_one_by_its_plan(
    tmp_path: Path, make_plan: PlanMaker, stopped: bool
) -> None:
    def say(event: Event, journal: Journal) -> None:
        if stopped and isinstance(event, ChunkDenoised) and event.chunk == 1:
            journal.request_stop()

    _, journal = make_draft(tmp_path, make_plan(frames=97, steps=1), say)
    seams = SEAMS[:1] if stopped else SEAMS
    film = find_film(journal.draft, tmp_path)
    assert (film.path, film.seams) == (journal.video_path(), seams)

    settings = read_settings(film.path) or {}
    del settings["seams"]
    join_slices(sorted(journal.folder.glob("slice-*.mp4")), film.path, title="", settings=settings)
    assert find_film(journal.draft, tmp_path).seams == seams
    assert find_film(str(film.path), tmp_path).seams is None

    for torn in ('{"chunks": [{"start": 1}], "slices": []}', "{}", "[1]", "torn"):
        journal.path("plan.json").write_text(torn)
        assert find_film(journal.draft, tmp_path).seams is None


def test_what_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    draft = "20260101-120000-0123456789abcdef"
    for named in ("missing.mp4", str(tmp_path), "20260101-120000"):
        with pytest.raises(InvalidRequest, match=f"There is no file {named}"):
            find_film(named, tmp_path)
    with pytest.raises(InvalidRequest, match=f"There is no draft {draft} in "):
        find_film(draft, tmp_path)
    (tmp_path / draft).mkdir()
    with pytest.raises(InvalidRequest, match=f"Draft {draft} has no film"):
        find_film(draft, tmp_path)
