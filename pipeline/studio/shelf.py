"""The shelf: drafts as a grid of pictures that move when looked at. Values in, pictures and text out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.drafts.disposal import size_bytes
from pipeline.drafts.keeping import LONGEST_TITLE, is_favourite, read_title
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.studio.player import say_settings
from pipeline.studio.scripted import scripted
from pipeline.studio.texts import Language, say

SHELF_LENGTH = 20  # drafts at a time
LEAST_ROOM_MB = 0.1
UNFINISHED = (DraftState.PAUSED, DraftState.STOPPED, DraftState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spine:
    """One draft on the shelf: its title, a word about it, the file its picture is taken from, and what can be done.

    `own_title` is what a person called it, `room` what deleting it frees, as people say it; `busy` drafts can't be
    deleted, `unfinished` ones can go on.
    """

    draft: str
    title: str
    own_title: str
    remark: str
    settings: str
    label: str
    file: str | None
    fps: int
    favourite: bool
    unfinished: bool
    busy: bool
    room: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfView:
    """What the shelf shows: `spines` from `first` on, of `count` that were looked for by `words` and `favourites`, in
    steps of `length`; how long drafts are kept; and what became of the last thing done, `wrong` if it was refused, with
    a name of its own for each `answer`: the same value twice would not be drawn again."""

    spines: tuple[Spine, ...]
    words: str
    favourites: bool
    first: int
    count: int
    length: int
    counted: str
    retention: str
    said: str = ""
    wrong: bool = False
    answer: str = ""


def shelf() -> gr.HTML:
    """The component; its value is a `ShelfView` as plain values, or None before the first."""
    return scripted("shelf", styles=("shelf", "compare"), longest_title=LONGEST_TITLE)


def fill_shelf(drafts: Sequence[DraftStatus], folder: Path, language: Language) -> tuple[Spine, ...]:
    """Drafts as the shelf shows them, as given; `folder` is where all are kept."""
    return tuple(_spine(status, folder / status.draft, language) for status in drafts)


def as_value(view: ShelfView) -> dict[str, Any]:
    """The component's value."""
    return asdict(view)


def _spine(status: DraftStatus, folder: Path, language: Language) -> Spine:
    sentence = " / ".join(shot["prompt"] for shot in status.request["shots"])
    own = read_title(folder)
    return Spine(
        draft=status.draft,
        title=own or sentence,
        own_title=own,
        remark=_remark(status, language),
        settings=say_settings(status.request, language),
        label=say(language, "shelf_open", title=own or sentence),
        file=status.video or (status.slices[0].file if status.slices else None),
        fps=status.fps,
        favourite=is_favourite(folder),
        unfinished=status.state in UNFINISHED,
        busy=not status.state.over,
        room=say(language, "shelf_room", megabytes=max(LEAST_ROOM_MB, size_bytes(folder) / 1e6)),
    )


def _remark(status: DraftStatus, language: Language) -> str:
    if status.state is DraftState.PAUSED:
        return say(language, "shelf_paused")
    if not status.state.over:
        return say(language, "shelf_running")
    length = say(language, "shelf_length", seconds=status.video_frames / status.fps)
    if status.state is DraftState.FAILED:
        return say(language, "shelf_failed")
    return say(language, "shelf_stopped", length=length) if status.state is DraftState.STOPPED else length
