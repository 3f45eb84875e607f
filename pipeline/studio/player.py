"""The player: a draft's status as plain values a script draws, and the component that holds the script.

What a visitor wrote reaches the page only as values, which the script sets as text; none of it is ever in a template.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.seams.check import Verdict
from pipeline.studio.joins import Joins, say_joins
from pipeline.studio.scripted import scripted
from pipeline.studio.texts import Language, say
from pipeline.studio.translation import say_failure
from pipeline.studio.wording import say_duration

DATE_CHARACTERS = 15  # of a draft's id: day and time
LEAST_SAVED_SECONDS = 1.0
FRAMES_FILE = "frames.zip"  # made when it is asked for (media.py)
NEARLY = 0.99  # the bar is full only when the video is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One chunk in the filmstrip: [start, stop) seconds of the draft, its name and sentence; it is `done`, `making` or
    `waiting`."""

    start: float
    stop: float
    state: str
    label: str
    name: str
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A playable slice."""

    file: str
    start: float
    stop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The newest moving preview: `frames` pictures from top to bottom, of chunk `chunk`."""

    chunk: int
    source: str
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerView:
    """Everything the script draws. The same view gives the same picture, whenever and wherever it is drawn.

    `sentence` is read aloud by screen readers when it changes; `detail` changes too often for that. `joins` is the
    badge of a draft that is over and was judged, `parent` the draft this one was made from, empty if from none.
    `outcome` is what became of it where nothing more is made, for now or for good; `took` the seconds worked on it.
    `request` is the JSON that `draft --settings` reads, `frames` the archive of its pictures.
    `aside` is what can be done beside stopping: `pause`, or `remove` while it waits in line. `told_at`, in seconds
    since 1970, tells of two drafts' views which one is older and came late.
    """

    draft: str
    over: bool
    failed: bool
    outcome: str
    took: float
    title: str
    sentence: str
    detail: str
    settings: str
    request: str
    progress: float
    seconds: float
    fps: int
    cells: tuple[Cell, ...]
    pieces: tuple[Piece, ...]
    preview: Strip | None
    video: str | None
    save_as: str
    frames: str | None
    save_frames_as: str
    joins: Joins | None
    parent: str
    aside: str
    told_at: float


def player() -> gr.HTML:
    """The component; its value is a `PlayerView` as plain values, or None. `gone` is a draft that it asked for and that
    is not there any more."""
    return scripted("player", gone="")


def show(
    status: DraftStatus, language: Language, *, warm: bool, joins: Verdict | None = None, told_at: float = 0.0
) -> dict[str, Any]:
    """The player's value for a draft. `warm` is whether the engine can start at once, `joins` the seam check's verdict
    on its film, with seams."""
    request, over = status.request, status.state.over
    prompt = " / ".join(shot["prompt"] for shot in request["shots"])
    view = PlayerView(
        draft=status.draft,
        over=over,
        failed=status.state == DraftState.FAILED,
        outcome=status.state.value if over or status.state is DraftState.PAUSED else "",
        took=status.elapsed_seconds or 0.0,
        title=prompt,
        sentence=_sentence(status, language, warm=warm),
        detail=_detail(status, language),
        settings=say_settings(request, language),
        request=json.dumps(dict(request) | ({"edited": True} if status.parent else {}), ensure_ascii=False, indent=1),
        progress=_progress(status),
        seconds=status.seconds,
        fps=status.fps,
        cells=_cells(status, language),
        pieces=tuple(
            Piece(
                file=piece.file,
                start=piece.first_frame / status.fps,
                stop=(piece.first_frame + piece.frames) / status.fps,
            )
            for piece in status.slices
        ),
        preview=None if over else strip_of(status),
        video=status.video if over else None,
        save_as=f"{film_name(status.draft)}.mp4",
        frames=FRAMES_FILE if over and status.video else None,
        save_frames_as=f"{film_name(status.draft)}-frames.zip",
        joins=say_joins(joins, language, fps=status.fps) if joins else None,
        parent=status.parent,
        aside=_aside(status),
        told_at=told_at,
    )
    return asdict(view)


def _aside(status: DraftStatus) -> str:
    if status.state is DraftState.QUEUED and status.ahead:
        return "remove"
    return "pause" if status.state in (DraftState.QUEUED, DraftState.RUNNING, DraftState.NO_ROOM) else ""


def say_settings(request: Mapping[str, Any], language: Language) -> str:
    """What a draft was made with, in a line."""
    shape = request["shape"]
    numbers = {key: request[key] for key in ("frames", "steps", "seed")}
    return say(language, "settings", width=shape["width"], height=shape["height"], **numbers)


def film_name(draft: str) -> str:
    """What a browser calls what it saves of a draft: its day and time; no word of a person is in a file name."""
    return f"rushes-{draft[:DATE_CHARACTERS]}"


def strip_of(status: DraftStatus) -> Strip | None:
    """A draft's newest moving preview; None before the first."""
    if status.preview is None:
        return None
    source = f"data:image/jpeg;base64,{base64.b64encode(status.preview.jpeg).decode('ascii')}"
    chunk = status.chunk if status.step else max(0, status.chunks_done - 1)  # until the next chunk has one of its own
    return Strip(chunk=chunk, source=source, frames=status.preview.frames)


def _cells(status: DraftStatus, language: Language) -> tuple[Cell, ...]:
    cells, start = [], 0.0
    prompts = status.chunk_prompts or ("",) * status.chunks
    for index, (stop, prompt) in enumerate(zip(status.chunk_stops_seconds, prompts, strict=True)):
        if index < status.chunks_done:
            state = "done"
        elif index == status.chunk and status.state in (DraftState.RUNNING, DraftState.NO_ROOM, DraftState.STOPPING):
            state = "making"
        else:
            state = "waiting"
        label = say(language, f"cell_{state}", chunk=index + 1)
        name = say(language, "edit_chunk", chunk=index + 1)
        cells.append(Cell(start=start, stop=stop, state=state, label=label, name=name, prompt=prompt))
        start = stop
    return tuple(cells)


def _progress(status: DraftStatus) -> float:
    if status.state == DraftState.FINISHED:
        return 1.0
    step = status.step / status.steps if status.chunk >= status.chunks_done else 0.0
    return min(NEARLY, (status.chunks_done + step) / status.chunks)


def _sentence(status: DraftStatus, language: Language, *, warm: bool) -> str:
    kept = _kept_seconds(status)
    match status.state:
        case DraftState.QUEUED:
            return _waiting(status, language, warm=warm)
        case DraftState.RUNNING:
            return _working(status, language)
        case DraftState.NO_ROOM:
            return _no_room(status, language)
        case DraftState.STOPPING:
            return say(language, "stopping")
        case DraftState.PAUSED:
            return say(language, "paused")
        case DraftState.FINISHED:
            return say(language, "finished", seconds=kept)
        case DraftState.STOPPED:
            return _stopped(status, language)
    return say_failure(language, status.message, status.hint)


def _stopped(status: DraftStatus, language: Language) -> str:
    """What is kept, and the time that was not spent on the rest, where there was any to speak of."""
    kept, saved = _kept_seconds(status), status.saved_seconds
    key = "stopped" if kept else "stopped_empty"
    if saved is not None and saved >= LEAST_SAVED_SECONDS:
        return say(language, f"{key}_saved", seconds=kept, saved=say_duration(language, saved))
    return say(language, "stopped_kept" if kept else key, seconds=kept)


def _waiting(status: DraftStatus, language: Language, *, warm: bool) -> str:
    if status.ahead:
        return say(language, "ahead_one" if status.ahead == 1 else "ahead_many", count=status.ahead)
    return say(language, "starting" if warm else "warming_up")


def _no_room(status: DraftStatus, language: Language) -> str:
    assert status.room is not None
    need, free = (round(count / 2**20) for count in (status.room.need_bytes, status.room.free_bytes))
    return say(language, "no_room", need=need, free=free)


def _working(status: DraftStatus, language: Language) -> str:
    if not (status.step or status.chunks_done):
        return say(language, "reading")
    if status.chunks_done == status.chunks:
        return say(language, "joining")
    return say(language, "making_one" if status.chunks == 1 else "making", chunk=status.chunk + 1, chunks=status.chunks)


def _detail(status: DraftStatus, language: Language) -> str:
    if status.state == DraftState.FINISHED and status.elapsed_seconds is not None:
        forecast, took = (say_duration(language, s) for s in (status.forecast_seconds, status.elapsed_seconds))
        return say(language, "finished_took", forecast=forecast, duration=took)
    if status.state != DraftState.RUNNING:
        return ""
    parts = [say(language, f"retreated_{status.retreated_in}")] if status.retreated_in else []
    etas = (("eta_first", status.first_slice_eta_seconds), ("eta_all", status.eta_seconds))
    parts += [say(language, key, duration=say_duration(language, eta)) for key, eta in etas if eta is not None]
    return " · ".join(parts)


def _kept_seconds(status: DraftStatus) -> float:
    """What can be played of a draft that is over."""
    frames = status.video_frames or max((piece.first_frame + piece.frames for piece in status.slices), default=0)
    return frames / status.fps
