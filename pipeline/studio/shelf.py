"""The shelf: the newest drafts as a row of pictures; a click opens one. Values in, pictures and text out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.studio.player import PAGE_ASSETS, script_texts
from pipeline.studio.texts import Language, say

SHELF_LENGTH = 8  # drafts shown; all others stay in the drafts folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Spine:
    """One draft on the shelf: its title, a word about it, and the file its picture is taken from."""

    draft: str
    title: str
    remark: str
    label: str
    file: str | None


def shelf() -> gr.HTML:
    """The component; its value is a list of `Spine` as plain values. A click carries the draft's id."""
    return gr.HTML(
        value=[],
        html_template='<ul class="spines"></ul>',
        css_template=(PAGE_ASSETS / "shelf.css").read_text(encoding="utf-8"),
        js_on_load=(PAGE_ASSETS / "shelf.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id="rushes-shelf",
        texts=script_texts(),
    )


def fill_shelf(drafts: Sequence[DraftStatus], language: Language) -> list[dict[str, Any]]:
    """The shelf's value: drafts with something to see or being made, as given."""
    return [
        asdict(_spine(status, language))
        for status in drafts
        if not status.state.over or status.video is not None or status.slices
    ]


def _spine(status: DraftStatus, language: Language) -> Spine:
    title = " / ".join(shot["prompt"] for shot in status.request["shots"])
    if status.state == DraftState.PAUSED:
        remark = say(language, "shelf_paused")
    elif not status.state.over:
        remark = say(language, "shelf_running")
    elif status.state == DraftState.FAILED:
        remark = say(language, "shelf_failed")
    else:
        remark = say(language, "shelf_length", seconds=status.video_frames / status.fps)
    file = status.video or (status.slices[0].file if status.slices else None)
    return Spine(
        draft=status.draft,
        title=title,
        remark=remark,
        label=say(language, "shelf_open", title=title),
        file=file,
    )
