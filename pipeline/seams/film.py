"""A film as the seam check takes it: where its chunks meet, and its frames, small, one at a time.

Where the seams are is written into every film that Rushes makes. A draft made before that has it in its plan; of
anybody else's film a person says it. Metadata is anybody's to change: what is no list of seams counts as none.

It also outlives a change of the film: a tool that cuts frames off copies it as it is, and the seams are elsewhere. So
how many frames a film has is written into it, too; one made before that is taken at its word.
"""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from pipeline.drafts.journal import ID_PATTERN, Journal, read_events, read_json
from pipeline.errors import DraftError, InvalidRequest
from pipeline.plan.catalog import find_model
from pipeline.plan.chunks import Chunk, Seam, Slice
from pipeline.plan.scenes import find_cuts, plan_all_seams
from pipeline.video.mp4 import read_settings

SMALL_PIXELS = 208 * 120
"""Area in which frames are compared. The limits of `metrics` were calibrated on 832x480 made 208x120."""

BLOCK_PIXELS = 8  # sides are multiples of it, so that `trace` can match whole blocks
_SHRINK = f"min(1,sqrt({SMALL_PIXELS}/(iw*ih)))/{BLOCK_PIXELS}"
SCALE = (
    f"scale=w='{BLOCK_PIXELS}*max(1,round(iw*{_SHRINK}))':h='{BLOCK_PIXELS}*max(1,round(ih*{_SHRINK}))'"
    ":flags=area+accurate_rnd+full_chroma_int"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A video file, its seams and the first frames after its cuts, in order.

    `seams` is None where nobody knows them; empty is one chunk; `given` says that a person named them. A cut is
    meant, so it is judged by nobody. `frames` is how many it was made with, None where that is not written in it.
    """

    path: Path
    seams: tuple[Seam, ...] | None
    cuts: tuple[int, ...] = ()
    given: bool = False
    frames: int | None = None


def find_film(named: str, drafts: Path, *, at: Sequence[int] = (), faded_frames: int = 0) -> Film:
    """The film that a person means.

    Args:
        named: a video file, or the id of a draft in `drafts`.
        at: first frames of chunks, from 0, instead of what the film itself says.
        faded_frames: frames before each of these that two chunks were faded over.

    Raises:
        InvalidRequest: when there is no such file or no such draft, none that can be read, or the draft has no film.
        DraftError: when there is no ffmpeg.
    """
    if faded_frames < 0 or (faded_frames and not at):
        raise InvalidRequest("faded", f"{faded_frames} faded frames say nothing without --at, and are 0 or more.")
    try:
        path, folder = _find_file(named, drafts)
    except OSError as error:  # a name that none can have, or a folder that one may not enter
        raise InvalidRequest("film", f"{named} cannot be read: {error.strerror}.") from error
    if at:
        seams = tuple(Seam(frame=frame, faded_frames=faded_frames) for frame in sorted(set(at)))
        return Film(path=path, seams=seams, given=True)
    settings = read_settings(path.absolute())
    known, cuts = _seams_written(settings), _cuts_written(settings)
    if known is None and folder:
        known, cuts = _joins_planned(folder)
    return Film(path=path, seams=known, cuts=cuts, frames=_frames_written(settings))


def _find_file(named: str, drafts: Path) -> tuple[Path, Path | None]:
    """The file that a person means, and its draft's folder if it is a draft's. Raises InvalidRequest, and OSError."""
    path = Path(named)
    if ID_PATTERN.fullmatch(named) and not path.exists():
        journal = Journal(drafts, named)
        if not journal.folder.is_dir():
            raise InvalidRequest("film", f"There is no draft {named} in {drafts}.", "Name its folder with --drafts.")
        if not journal.video_path().is_file():
            raise InvalidRequest("film", f"Draft {named} has no film: nothing of it was finished.")
        return journal.video_path(), journal.folder
    if not path.is_file():
        raise InvalidRequest(
            "film", f"There is no file {named}.", f"Name an mp4, or the id of a draft in {drafts}, like its folder."
        )
    return path, None


def find_unchunked(named: str, drafts: Path) -> Film:
    """The film of one chunk that a person means; one that does not say how many it has is taken for one.

    Raises:
        InvalidRequest: as `find_film`, and when the film says that it has seams.
        DraftError: as `find_film`.
    """
    film = find_film(named, drafts)
    if film.seams:
        raise InvalidRequest(
            "against",
            f"{film.path} has {len(film.seams) + 1} chunks; drift is judged by the same draft made in one.",
            "A longer --chunk-frames makes fewer.",
        )
    return Film(path=film.path, seams=(), cuts=film.cuts)


def _seams_written(settings: dict[str, Any] | None) -> tuple[Seam, ...] | None:
    """The seams in a film's metadata; None where there are none to trust."""
    rows = (settings or {}).get("seams")
    if not isinstance(rows, list):
        return None
    found: list[Seam] = []
    for row in rows:
        values = [row.get(key) for key in ("frame", "faded_frames")] if isinstance(row, dict) else [None]
        if any(type(value) is not int or value < 0 for value in values):  # True is an int, and no frame
            return None
        found.append(Seam(frame=row["frame"], faded_frames=row["faded_frames"]))
    return tuple(found)


def _cuts_written(settings: dict[str, Any] | None) -> tuple[int, ...]:
    """The cuts in a film's metadata; none where they are not to be trusted."""
    frames = (settings or {}).get("cuts")
    if not isinstance(frames, list) or any(type(frame) is not int or frame < 1 for frame in frames):
        return ()
    return tuple(sorted(set(frames)))


def _frames_written(settings: dict[str, Any] | None) -> int | None:
    """How many frames a film's metadata says that it was made with; None where that is no count."""
    frames = (settings or {}).get("film_frames")
    return frames if type(frames) is int and frames > 0 else None


def _joins_planned(folder: Path) -> tuple[tuple[Seam, ...] | None, tuple[int, ...]]:
    """The seams and cuts of a draft by its plan, as far as it was made; None where the folder does not tell."""
    plan = read_json(folder / "plan.json")
    kept = [row.get("frames", 0) for row in read_events(folder) if row.get("event") in ("Finished", "Stopped")]
    try:
        chunks = tuple(Chunk(**row) for row in plan["chunks"])
        slices = tuple(Slice(**row) for row in plan["slices"])
        stride = find_model(plan["request"]["model"]).frame_stride
    except (TypeError, KeyError, InvalidRequest):
        return None, ()
    made = kept[-1] if kept else 0
    seams, cuts = plan_all_seams(chunks, slices, stride=stride), find_cuts(chunks, stride=stride)
    return tuple(seam for seam in seams if seam.frame < made), tuple(cut for cut in cuts if cut < made)


def read_small_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Every frame [h, w, 3] uint8 RGB of a video, area-averaged to `SMALL_PIXELS` at its own shape, never enlarged.

    Sides are multiples of `BLOCK_PIXELS`; 832x480 becomes 208x120. One frame is in memory at a time.

    Raises:
        InvalidRequest: when ffmpeg finds no picture in it.
        DraftError: when there is no ffmpeg.
    """
    # Each picture comes with its size, whatever ffmpeg made of an expression or of a rotation in the file. Of a film of
    # more than 8 bits it would make pictures of 16.
    picture = ("-c:v", "ppm", "-pix_fmt", "rgb24", "-f", "image2pipe", "-")
    form = ("-map", "0:v:0", "-vf", SCALE, "-fps_mode", "passthrough", *picture)
    # An absolute path is never taken for an option or an address.
    source = ("-v", "quiet", "-nostdin", "-i", str(path.absolute()))
    try:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), *source, *form]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, RuntimeError) as error:  # the latter is imageio-ffmpeg's, which has no program for every machine
        raise DraftError(f"ffmpeg did not read {path.name}: {error}", "IMAGEIO_FFMPEG_EXE may name another.") from error
    found = False
    with process:  # which closes the pipe at the end, and ffmpeg with it
        assert process.stdout is not None
        while process.stdout.readline() == b"P6\n":
            width, height = map(int, process.stdout.readline().split())
            process.stdout.readline()  # 255
            data = process.stdout.read(width * height * 3)
            if len(data) == width * height * 3:
                found = True
                yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    if not found:
        raise InvalidRequest("film", f"{path} is not a video: ffmpeg finds no picture in it.")
