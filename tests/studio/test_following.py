"""Two followers of one page, one after the other: what the newer shows is what stays."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.studio import desk as desk_module
from pipeline.studio import following
from pipeline.studio.desk import Desk
from pipeline.studio.player import show
from tests.studio.test_desk import REQUEST, Register, sit
from tests.studio.test_player import FINISHED, RUNNING, SECOND

__all__ = ["sit"]


def test_a_late_verdict_never_comes_after_the_next_draft_s_first_view(
    sit: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is on its way to the page when the page turns to a draft made from the one that was judged."""
    monkeypatch.setattr(following, "HANDOVER_SECONDS", 60.0)
    monkeypatch.setattr(desk_module, "look_at_joins", lambda *_: "a verdict")
    monkeypatch.setattr(desk_module, "show", lambda status, language, *, warm, **_: show(status, language, warm=warm))
    edited = replace(SECOND, draft="20260101-120000-fedcba9876543210")
    desk, arrived = sit(Register(FINISHED, edited)), list[str]()

    async def turn() -> None:
        older, newer = desk.follow(FINISHED.draft, REQUEST), desk.follow(edited.draft, REQUEST)
        await anext(older)
        verdict, *_ = await anext(older)

        async def show_newer() -> None:
            view, *_ = await anext(newer)
            arrived.append(view["draft"])

        showing = asyncio.ensure_future(show_newer())
        for _ in range(10):
            await asyncio.sleep(0)
        arrived.append(verdict["draft"])
        await older.aclose()
        await showing
        await newer.aclose()

    asyncio.run(turn())
    assert arrived == [FINISHED.draft, edited.draft]


def test_a_page_that_is_gone_keeps_nobody_waiting(sit: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "HANDOVER_SECONDS", 0.01)
    desk = sit(Register(RUNNING, SECOND))

    async def follow_two() -> str:
        older, newer = desk.follow(RUNNING.draft, REQUEST), desk.follow(RUNNING.draft, REQUEST)
        await anext(older)
        view, *_ = await anext(newer)
        return str(view["draft"])

    assert asyncio.run(follow_two()) == RUNNING.draft
