"""Two followers of one page, one after the other: what the newer shows is what stays."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

from pipeline.fetcher import FetchState, FetchStatus
from pipeline.studio import desk as desk_module
from pipeline.studio import following
from pipeline.studio.desk import Desk
from pipeline.studio.following import ends_silently
from pipeline.studio.forms import FIELDS
from pipeline.studio.player import show
from tests.studio.test_desk import REQUEST, RIGHT, Register, sit
from tests.studio.test_player import FINISHED, QUEUED, RUNNING, SECOND

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


def test_a_draft_in_line_is_told_when_it_moves_up(sit: Callable[..., Desk]) -> None:
    """Nothing happens to the draft itself then."""
    register = Register(replace(QUEUED, ahead=2))
    desk = sit(register)

    async def follow() -> list[str]:
        shown = desk.follow(QUEUED.draft, REQUEST)
        first, *_ = await anext(shown)
        register.drafts[QUEUED.draft] = replace(QUEUED, ahead=1)
        second, *_ = await asyncio.wait_for(anext(shown), 10)
        return [first["sentence"], second["sentence"]]

    first, second = asyncio.run(follow())
    assert (first, second) == ("In line: 2 drafts before this one.", "In line: one draft before this one.")


def test_a_follower_that_ends_shows_nothing_once_more() -> None:
    """Gradio sends what a generator yielded last again when it ends, whatever another has shown since."""
    closed = list[int]()

    async def count(until: int) -> AsyncIterator[int]:
        try:
            for number in range(until):
                yield number
        finally:
            closed.append(until)

    async def watch() -> tuple[list[object], object]:
        whole = [update async for update in ends_silently(count)(2)]
        left = aiter(ends_silently(count)(3))
        first = await anext(left)
        await left.aclose()  # type: ignore[attr-defined]
        return whole, first

    assert asyncio.run(watch()) == ([0, 1, gr.skip()], 0)
    assert closed == [2, 3]  # one that is left ends at once, not when it is collected


def test_gradio_sends_nothing_of_an_older_draft_when_its_follower_ends() -> None:
    """As the page hears it: every message of the queue, in order."""

    async def follow(name: str) -> AsyncIterator[str]:
        yield name

    with gr.Blocks() as page:
        name, shown = gr.Textbox(), gr.Textbox()
        name.change(ends_silently(follow), name, shown, api_name="follow")
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    try:
        with httpx.Client(base_url=address, timeout=30) as client:
            join = {"data": ["a draft"], "fn_index": 0, "session_hash": "page"}
            client.post("gradio_api/queue/join", json=join).raise_for_status()
            with client.stream("GET", "gradio_api/queue/data", params={"session_hash": "page"}) as stream:
                lines = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]
    finally:
        page.close()
    said = [(line["msg"], line["output"]["data"]) for line in lines if "output" in line]
    assert said[0] == ("process_generating", ["a draft"])
    assert said[-1] == ("process_completed", [gr.skip()])


def test_a_download_is_followed_with_the_form_as_it_is_meanwhile(
    sit: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "FETCH_SECONDS", 0.0)
    running = FetchStatus(model="ltx-2b", state=FetchState.RUNNING)
    fetching: Any = SimpleNamespace(status=running)
    desk = sit(Register())
    desk.studio = replace(desk.studio, fetcher=fetching)
    seconds = FIELDS.index("seconds")
    longer = (*RIGHT[:seconds], 8.0, *RIGHT[seconds + 1 :])

    async def follow() -> list[str]:
        shown = desk.follow_fetch(REQUEST, *RIGHT)
        details = [(await anext(shown))["detail"]]
        desk.advise(REQUEST, *longer)
        details.append((await anext(shown))["detail"])
        fetching.status = replace(running, state=FetchState.DONE)
        return details + [update["detail"] async for update in shown]

    first, *later = asyncio.run(follow())
    said = desk.advise(REQUEST, *longer)[1]["detail"]
    assert first != said
    assert set(later) == {said}


def test_a_page_follows_a_download_once(sit: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second to follow it takes the place of the first, which leaves it alone when it ends."""
    monkeypatch.setattr(desk_module, "FETCH_SECONDS", 0.0)
    fetching: Any = SimpleNamespace(status=FetchStatus(model="ltx-2b", state=FetchState.RUNNING))
    desk = sit(Register())
    desk.studio = replace(desk.studio, fetcher=fetching)
    seconds = FIELDS.index("seconds")
    longer = (*RIGHT[:seconds], 8.0, *RIGHT[seconds + 1 :])

    async def follow() -> tuple[list[Any], str]:
        older, newer = desk.follow_fetch(REQUEST, *RIGHT), desk.follow_fetch(REQUEST, *RIGHT)
        await anext(older)
        await anext(newer)
        rest = [update async for update in older]
        desk.advise(REQUEST, *longer)
        return rest, (await anext(newer))["detail"]

    rest, said = asyncio.run(follow())
    assert rest == []
    assert said == desk.advise(REQUEST, *longer)[1]["detail"]
