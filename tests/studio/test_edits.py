"""An edit that drops the end frame says so, and Undo and Forward lead to drafts that are there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipeline.plan.edits import Edit
from pipeline.studio.desk import Desk
from tests.studio.test_desk import REQUEST, Register, sit
from tests.studio.test_player import FINISHED
from tests.studio.test_toast import CHINESE

__all__ = ["sit"]
NEW = "20260101-120001-0123456789abcdef"
PICTURE = {"end_image": "0123456789abcdef.png"}
SKIP: Any = gr.skip()


class Editing(Register):
    """Makes of its draft another one, which ends with a picture or not."""

    end: str | None = None

    def edit(self, draft: str, change: Edit) -> str:
        del change
        old = self.drafts[draft]
        self.drafts[NEW] = replace(old, draft=NEW, parent=draft, request={**old.request, "end_image": self.end})
        return NEW


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told in the corner of the page."""
    told = list[str]()
    for kind in ("Info", "Warning"):
        monkeypatch.setattr(gr, kind, told.append)
    return told


def pressed(**data: object) -> Any:
    return SimpleNamespace(_data=data)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(PICTURE, None, True), (PICTURE, PICTURE["end_image"], False), ({}, None, False)],
    ids=["dropped", "kept", "none"],
)
def test_an_edit_that_drops_the_end_frame_says_so(
    sit: Callable[..., Desk], said: list[str], before: dict[str, str], after: str | None, told: bool
) -> None:
    register = Editing(replace(FINISHED, request={**FINISHED.request, **before}))
    register.end = after
    for request in (REQUEST, CHINESE):
        way = pressed(draft=FINISHED.draft, way="extend", amount=1)
        assert sit(register).edit_draft(request, way) == [NEW, NEW]
    both = ["The end frame is dropped: the draft ends elsewhere now.", "结束画面不再使用：草稿现在在别处结束。"]
    assert said == (both if told else [])


def test_undo_and_forward_lead_to_a_draft_that_is_there(
    sit: Callable[..., Desk], said: list[str], tmp_path: Path
) -> None:
    (tmp_path / FINISHED.draft).mkdir()
    desk = sit(Register(FINISHED))
    for way in ("undo", "forward"):
        assert desk.undo_edit(REQUEST, pressed(draft=FINISHED.draft, way=way)) == [FINISHED.draft, FINISHED.draft, SKIP]
    assert not said


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("way", "asking", "told"),
    [
        ("undo", REQUEST, "The draft this one was made from is not there any more."),
        ("undo", CHINESE, "这份草稿的原稿已经不在了。"),
        ("forward", REQUEST, "The draft that was undone is not there any more."),
        ("forward", CHINESE, "被撤销的那份草稿已经不在了。"),
    ],
)
def test_one_that_is_gone_is_told_and_the_page_stays_where_it_is(
    sit: Callable[..., Desk], said: list[str], known: bool, way: str, asking: Any, told: str
) -> None:
    desk = sit(Register(FINISHED) if known else Register())  # which remembers one whose folder was taken away
    assert desk.undo_edit(asking, pressed(draft=FINISHED.draft, way=way)) == [
        SKIP,
        SKIP,
        gr.update(gone=FINISHED.draft),
    ]
    assert said == [told]
