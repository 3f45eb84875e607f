"""Frames to H.264 and back: none lost, colours true, slices that a player can append, and the request inside."""

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from pipeline.errors import DiskFull, DraftError, StopRequested, WriteFailed
from pipeline.video import mp4
from pipeline.video.mp4 import join_slices, read_frames, read_settings, write_slice
from tests.tiny import count_frames

WIDTH, HEIGHT, FPS = 128, 96, 24
COLOURS = {"red": (220, 30, 30), "green": (40, 170, 60), "blue": (40, 70, 220), "yellow": (240, 210, 40)}


def clip(frames: int, colour: tuple[int, int, int] = (90, 120, 150)) -> NDArray[np.uint8]:
    """A plain colour with a white bar whose left edge is at two pixels a frame."""
    made = np.full((frames, HEIGHT, WIDTH, 3), colour, np.uint8)
    for index in range(frames):
        made[index, :, 2 * index : 2 * index + 16] = 255
    return made


@pytest.fixture
def slices(tmp_path: Path) -> list[Path]:
    """Three neighbouring slices of one clip of 25 frames."""
    whole, paths = clip(25), []
    for index, (start, stop) in enumerate(((0, 9), (9, 10), (10, 25))):
        paths.append(tmp_path / f"slice-{index:03d}.mp4")
        write_slice(whole[start:stop], paths[-1], fps=FPS)
    return paths


def described(path: Path) -> str:
    """What ffmpeg says about a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The boxes of an mp4, with what is in them."""
    while data:
        (size,) = struct.unpack(">I", data[:4])
        yield data[4:8].decode("latin1"), data[8:size]
        data = data[size:]


def bar(frame: NDArray[np.uint8]) -> int:
    """Where the white bar begins."""
    return int(np.flatnonzero(frame[HEIGHT // 2].min(axis=1) > 200)[0])


@pytest.mark.parametrize("frames", [1, 2, 8, 25, 49])
def test_a_slice_holds_its_frames_its_size_and_its_rate(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "slice-000.mp4"
    write_slice(clip(frames), path, fps=FPS)
    assert count_frames(path) == frames
    assert [bar(frame) // 2 for frame in read_frames(path)] == pytest.approx(list(range(frames)), abs=1)
    assert re.search(rf"h264 \(High\).*yuv420p.*{WIDTH}x{HEIGHT}.*\b{FPS} fps", described(path))


def test_colours_are_tagged_as_bt709_in_video_range(slices: list[Path], tmp_path: Path) -> None:
    joined = tmp_path / "draft.mp4"
    join_slices(slices, joined, title="", settings={})
    for path in (slices[0], joined):
        assert re.search(r"yuv420p\(tv, bt709[,)]", described(path)), described(path)


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS.keys())
def test_a_colour_stays_what_it_is(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = tmp_path / "slice-000.mp4"
    write_slice(np.full((9, HEIGHT, WIDTH, 3), colour, np.uint8), path, fps=FPS)
    for frame in read_frames(path):
        assert abs(frame.astype(int) - colour).max() <= 6


def test_a_slice_is_fragments_behind_an_empty_film_and_starts_at_zero(slices: list[Path]) -> None:
    for path in slices:
        found = dict(boxes(path.read_bytes()))
        assert list(found)[:2] == ["ftyp", "moov"]
        assert {"moof", "mdat"} <= set(found)
        moov = dict(boxes(found["moov"]))
        assert "mvex" in moov
        assert "edts" not in dict(boxes(moov["trak"]))  # an edit list would shift what is appended
        decode_time = dict(boxes(dict(boxes(found["moof"]))["traf"]))["tfdt"]
        assert int.from_bytes(decode_time[4:], "big") == 0
        assert "start: 0.000000" in described(path)


def test_every_slice_begins_with_a_picture_of_its_own(slices: list[Path]) -> None:
    assert [bar(next(read_frames(path))) // 2 for path in slices] == pytest.approx([0, 9, 10], abs=1)


def test_joined_slices_are_one_film_with_every_frame_in_order(slices: list[Path], tmp_path: Path) -> None:
    joined = tmp_path / "draft.mp4"
    join_slices(slices, joined, title="a bar", settings={})
    assert count_frames(joined) == 25
    assert [bar(frame) // 2 for frame in read_frames(joined)] == pytest.approx(list(range(25)), abs=1)
    kinds = [name for name, _ in boxes(joined.read_bytes())]
    assert kinds.index("moov") < kinds.index("mdat")
    assert "moof" not in kinds
    assert {path.name for path in tmp_path.iterdir()} == {"draft.mp4", *(path.name for path in slices)}


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not take")
@pytest.mark.parametrize("name", ["a#b", "what?", "100%", "it's", "a:b", "-y", "红 é"])
def test_a_film_is_joined_in_a_folder_of_any_name(
    slices: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where that is named from the folder one is in, and ffmpeg, too."""
    folder = tmp_path / name / "draft"
    folder.mkdir(parents=True)
    moved = [path.rename(folder / path.name) for path in slices]
    join_slices(moved, folder / "draft.mp4", title="a bar", settings={"seed": 7})
    assert read_settings(folder / "draft.mp4") == {"seed": 7}
    (tmp_path / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "./ffmpeg")
    monkeypatch.chdir(tmp_path)
    near = [path.relative_to(tmp_path) for path in moved]
    join_slices(near, near[0].with_name("again.mp4"), title="a bar", settings={})
    assert [count_frames(folder / film) for film in ("draft.mp4", "again.mp4")] == [25, 25]


@pytest.mark.parametrize(
    "prompt",
    [
        "a red ball",
        "红球在雪地上弹跳",
        "\"double\" 'single' `back` $HOME %s {x}",
        "two\nlines\r\nand a\ttab",
        "; # = \\ at; the # end = \\",
        "\\",
        "[CHAPTER]\ntitle=not mine",
        "-metadata comment=x",
        "🎈 é ü ő",
        "x" * 2000,
    ],
)
def test_whatever_a_person_writes_comes_back_from_the_file(slices: list[Path], tmp_path: Path, prompt: str) -> None:
    joined, settings = tmp_path / "draft.mp4", {"shots": [{"prompt": prompt, "seconds": 4.0}], "seed": 7}
    join_slices(slices, joined, title=prompt, settings=settings)
    assert read_settings(joined) == settings


def test_the_title_is_one_line(slices: list[Path], tmp_path: Path) -> None:
    joined = tmp_path / "draft.mp4"
    join_slices(slices, joined, title="a red\nball", settings={})
    assert re.search(r"title +: a red ball\n", described(joined))


def test_a_long_storyboard_fits_into_the_film(slices: list[Path], tmp_path: Path) -> None:
    joined, settings = tmp_path / "draft.mp4", {"shots": ["红" * 2000] * 32}
    join_slices(slices, joined, title="红" * 60_000, settings=settings)
    assert read_settings(joined) == settings


def test_a_film_by_somebody_else_has_no_settings(slices: list[Path], tmp_path: Path) -> None:
    assert read_settings(slices[0]) is None
    assert read_settings(tmp_path / "missing.mp4") is None
    (tmp_path / "torn.mp4").write_bytes(b"torn")
    assert read_settings(tmp_path / "torn.mp4") is None


@pytest.mark.fault(23)
def test_what_ffmpeg_says_reaches_the_person(tmp_path: Path) -> None:
    with pytest.raises(WriteFailed, match=r"ffmpeg did not write slice-000\.mp4: .*No such file") as refusal:
        write_slice(clip(1), tmp_path / "missing" / "slice-000.mp4", fps=FPS)
    assert refusal.value.path == str(tmp_path / "missing" / "slice-000.mp4")
    torn = tmp_path / "slice-000.mp4"
    torn.write_bytes(b"torn")
    with pytest.raises(WriteFailed):
        join_slices([torn], tmp_path / "draft.mp4", title="", settings={})
    assert not list(tmp_path.glob("*.txt"))


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A program in ffmpeg's place."""
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))


@pytest.mark.fault(23)
@pytest.mark.skipif(sys.platform == "win32", reason="no scripts as programs")
@pytest.mark.parametrize("reads", [True, False], ids=["after reading", "without reading"])
def test_an_ffmpeg_that_hangs_is_ended_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: bool) -> None:
    """Without reading: more frames wait for it than a pipe holds."""
    remember = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    stand_in(tmp_path, monkeypatch, f"{remember}\nif {reads}: sys.stdin.read()\ntime.sleep(600)")
    monkeypatch.setattr(mp4, "TIMEOUT_SECONDS", 2)
    with pytest.raises(WriteFailed, match=r"ffmpeg did not finish slice-000\.mp4 within 2 s and was ended") as refusal:
        write_slice(clip(25), tmp_path / "slice-000.mp4", fps=FPS)
    assert "What is finished is kept" in refusal.value.hint
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.mark.fault(9)
@pytest.mark.skipif(sys.platform == "win32", reason="no scripts as programs")
def test_an_ffmpeg_whose_slice_is_not_wanted_any_more_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    stand_in(tmp_path, monkeypatch, f"open({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")

    def check() -> None:
        if pid.exists() and pid.read_text():
            raise StopRequested

    with pytest.raises(StopRequested):
        write_slice(clip(25), tmp_path / "slice-000.mp4", fps=FPS, check=check)
    assert not psutil.pid_exists(int(pid.read_text()))


@pytest.mark.fault(16)
@pytest.mark.skipif(sys.platform == "win32", reason="no scripts as programs")
@pytest.mark.parametrize("reason", ["No space left on device", "Disk quota exceeded"])
def test_an_ffmpeg_that_finds_no_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    said = f"[out#0/mp4 @ 0x5] Error closing file: {reason}"
    stand_in(tmp_path, monkeypatch, f"sys.stdin.read()\nsys.exit({said!r} + chr(10) + 'Conversion failed!')")
    with pytest.raises(DiskFull, match="Conversion failed"):
        write_slice(clip(1), tmp_path / "slice-000.mp4", fps=FPS)


@pytest.mark.fault(16)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_the_real_ffmpeg_is_understood_when_it_finds_no_room(tmp_path: Path) -> None:
    full = tmp_path / "slice-000.mp4"
    full.symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        write_slice(clip(9), full, fps=FPS)


@pytest.mark.fault(23)
def test_no_ffmpeg_for_this_machine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", refuse)
    with pytest.raises(WriteFailed, match=r"ffmpeg cannot be started .* No ffmpeg exe could be found") as refusal:
        write_slice(clip(1), tmp_path / "slice-000.mp4", fps=FPS)
    assert "IMAGEIO_FFMPEG_EXE" in refusal.value.hint
    with pytest.raises(DraftError, match=r"did not read film\.mp4: No ffmpeg exe could be found"):
        read_settings(tmp_path / "film.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="sessions")
def test_ctrl_c_in_a_terminal_does_not_reach_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in ffmpeg's place that fails with its session's number: a terminal signals its own session only."""
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport os, sys\nsys.stdin.read()\nsys.exit(f'session {{os.getsid(0)}}')\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    with pytest.raises(WriteFailed, match=r"session \d+") as refusal:
        write_slice(np.zeros((1, 2, 2, 3), np.uint8), tmp_path / "slice-000.mp4", fps=FPS)
    assert f"session {os.getsid(0)}" not in refusal.value.message


@pytest.mark.fault(23)
def test_a_missing_ffmpeg_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    with pytest.raises(WriteFailed, match="no-ffmpeg"):
        write_slice(clip(1), tmp_path / "slice-000.mp4", fps=FPS)
