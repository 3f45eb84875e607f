"""Frames to H.264 and back, through imageio-ffmpeg's own binary: nothing needs to be on the PATH.

A slice is a fragmented mp4: a player can append it to what it has, and it also plays by itself. A draft is the slices
joined without encoding again, faststart, with the request in its metadata.
"""

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip
from numpy.typing import NDArray

from pipeline.errors import DiskFull, DraftError, WriteFailed

MOST_METADATA_BYTES = 2**21  # the longest settings that can be asked for are a sixth of it, in escapes
TIMEOUT_SECONDS = 120  # assumed: a slice takes seconds, a film is copied as fast as the disk is
CHECK_SECONDS = 0.02  # between two looks at whether a slice is still wanted
NO_ROOM = ("No space left on device", "Disk quota exceeded")  # as ffmpeg says ENOSPC and EDQUOT
GO_ON = "What is finished is kept, and the draft can go on from there."
ENCODE = (
    # Untagged rgb24 -> yuv420p is BT.601, which browsers show as BT.709 from 720 lines up: reds turn orange.
    *(
        "-vf",
        "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
        "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
    ),
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-profile:v", "high", "-pix_fmt", "yuv420p"),
    # With macroblock trees the first frames of a slice have 2 % less detail than their neighbours, at worst 11 %, which
    # is a seam; without, none (four drafts of the miniature, 28 slices, 2026-11-21: tests/bench/README.md).
    *("-x264-params", "mbtree=0"),
    # No B-frames: the first frame of a fragment is shown at its time 0, so that appended slices meet exactly.
    *("-bf", "0", "-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
)


def write_slice(frames: NDArray[np.uint8], path: Path, *, fps: int, check: Callable[[], None] = lambda: None) -> None:
    """Encode frames [F, H, W, 3] uint8 RGB as one fragmented mp4; `check` is called now and then, and may raise.

    Raises:
        DiskFull: when there is no room.
        WriteFailed: with ffmpeg's last line, when it cannot be started, or when it hung and was killed; also where
            there is no memory to give it the frames.

    What there is of `path` then is the caller's to remove (see Journal).
    """
    _, height, width, _ = frames.shape
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-")
    try:
        _ffmpeg([*source, *ENCODE, str(path)], path, data=np.ascontiguousarray(frames).tobytes(), check=check)
    except MemoryError as error:  # which is not one of the decoder's, that can decode them again in another way
        raise WriteFailed(str(path), f"There is no memory left to write {path.name}.", GO_ON) from error


def join_slices(slices: list[Path], path: Path, *, title: str, settings: dict[str, Any]) -> None:
    """Join slices to one faststart mp4 without encoding again.

    Args:
        slices: in order, all of one size and rate, in the folder of `path`.
        path: where to; its name and theirs are ours and need no quoting.
        title: shown by players; line breaks become spaces.
        settings: plain values, kept as JSON in the comment, read back by `read_settings`.

    Raises:
        DiskFull, WriteFailed: as `write_slice` does.
    """
    listing, metadata = path.with_suffix(".txt"), path.with_suffix(".meta")
    try:
        listing.write_text("".join(f"file {piece.name}\n" for piece in slices), encoding="utf-8")
        metadata.write_text(_metadata(title, settings), encoding="utf-8")
        source = ("-f", "concat", "-i", listing.name, "-f", "ffmetadata", "-i", metadata.name)
        copy = ("-map", "0", "-map_metadata", "1", "-c", "copy", "-movflags", "+faststart")
        # From within the folder: what a list names is looked for beside it as in a URL, where # and ? end the path.
        _ffmpeg([*source, *copy, path.name], path, folder=path.parent)
    finally:
        listing.unlink(missing_ok=True)
        metadata.unlink(missing_ok=True)


def _metadata(title: str, settings: dict[str, Any]) -> str:
    """ffmpeg's metadata file. What a person wrote goes in here, never onto a command line that others can list."""
    title = " ".join(title.split())
    if title.endswith("\\"):
        title += " "  # ffmpeg takes an escaped backslash before a line's end for an escaped line's end
    values = {"title": title, "comment": json.dumps(settings, ensure_ascii=False)}
    escaped = {key: re.sub(r"([=;#\\\n])", r"\\\1", value) for key, value in values.items()}
    return ";FFMETADATA1\n" + "".join(f"{key}={value}\n" for key, value in escaped.items())


def read_settings(path: Path) -> dict[str, Any] | None:
    """What `join_slices` put into a file's metadata, unchecked; None for anybody else's mp4.

    The file may be anybody's: it is taken for an mp4 and nothing else, never leads to another file or to the network,
    and only so much of its metadata is read.

    Raises:
        DraftError: when there is no ffmpeg.
    """
    only = ("-protocol_whitelist", "file", "-f", "mov", "-i", f"file:{path}")
    try:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "quiet", "-nostdin", *only, "-f", "ffmetadata", "-"]
        ffmpeg = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, RuntimeError) as error:  # as in `_ffmpeg`
        raise DraftError(f"ffmpeg did not read {path.name}: {error}", "IMAGEIO_FFMPEG_EXE may name another.") from error
    with ffmpeg:
        overdue = threading.Timer(TIMEOUT_SECONDS, ffmpeg.kill)
        overdue.start()
        try:
            assert ffmpeg.stdout is not None
            answer = ffmpeg.stdout.read(MOST_METADATA_BYTES + 1)
        finally:
            overdue.cancel()
            ffmpeg.kill()
    if len(answer) > MOST_METADATA_BYTES:
        return None
    found = re.search(r"^comment=((?:\\.|[^\\\n])*)$", answer.decode("utf-8", "replace"), re.M | re.S)
    if not found:
        return None
    try:
        settings = json.loads(re.sub(r"\\(.)", r"\1", found[1], flags=re.S))
    except (ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


def read_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Frames [H, W, 3] uint8 RGB of any video file, one at a time."""
    # moviepy leaves its pipes to the garbage collector
    with VideoFileClip(str(path), audio=False) as clip, clip.reader.proc.stdout, clip.reader.proc.stderr:
        yield clip.reader.last_read  # opening reads the first
        # `iter_frames` goes by a duration in hundredths of a second, cut off, which loses the last frame of 25.
        for _ in range(round(clip.duration * clip.fps) - 1):
            yield clip.reader.read_frame()


def _ffmpeg(
    arguments: list[str],
    path: Path,
    *,
    folder: Path | None = None,
    data: bytes | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        program = str(Path(shutil.which(program) or program).absolute())  # it may be named from the folder we are in
        command = [program, "-y", "-v", "error", "-nostdin" if data is None else "-hide_banner"]
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            stdin=None if data is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is for Rushes, which lets a file be finished
        )
    except (OSError, RuntimeError) as error:  # the latter is imageio-ffmpeg's, which has no program for every machine
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        said = f"ffmpeg cannot be started to write {path.name}: {reason}."
        raise WriteFailed(str(path), said, f"IMAGEIO_FFMPEG_EXE may name another. {GO_ON}") from error
    try:
        told = _wait_for(process, data, check)
    except subprocess.TimeoutExpired as error:
        said = f"ffmpeg did not finish {path.name} within {TIMEOUT_SECONDS} s and was ended."
        raise WriteFailed(str(path), said, GO_ON) from error
    if process.returncode:
        lines = told.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        said = f"ffmpeg did not write {path.name}: {lines[-1]}"
        if any(reason in line for reason in NO_ROOM for line in lines):
            raise DiskFull(str(path), said, "Free some disk.")
        raise WriteFailed(str(path), said, GO_ON)


def _wait_for(process: "subprocess.Popen[bytes]", data: bytes | None, check: Callable[[], None]) -> bytes:
    """What it says until it ends. Raises TimeoutExpired after TIMEOUT_SECONDS, and what `check` does, having ended it.

    It is fed by a thread: `communicate` takes no input a second time.
    """
    told = list[bytes]()
    feeding = threading.Thread(target=lambda: told.extend(process.communicate(data)), daemon=True, name="rushes-ffmpeg")
    over = time.monotonic() + TIMEOUT_SECONDS
    feeding.start()
    try:
        while feeding.is_alive():
            check()
            if time.monotonic() >= over:
                raise subprocess.TimeoutExpired(process.args, TIMEOUT_SECONDS)
            feeding.join(CHECK_SECONDS)
    finally:
        process.kill()  # which does nothing to one that is through
        feeding.join()
    return told[1]
