"""Storyboards on the page: the sentence's field takes them, the length follows, drafts' come back, the badge shows."""

import asyncio
import threading
from dataclasses import asdict, astuple, replace
from typing import Any

import gradio as gr
import pytest

from pipeline.plan.request import Shot, Transition
from pipeline.studio import desk as desk_module
from pipeline.studio.filling import fill
from pipeline.studio.form_desk import FormDesk
from pipeline.studio.forms import FIELDS, form_with, read_form, refusals, restore_form, seconds_told, spoken
from tests.studio.test_desk import REQUEST, Register, sit
from tests.studio.test_forms import DEFAULT, LOOKS, RIGHT
from tests.studio.test_joins import verdict
from tests.studio.test_player import FINISHED

__all__ = ["sit"]
BOAT = "[2s] a boat leaves / [3s cut] the boat arrives / [1s cut, same look] it is night"
FORM = replace(RIGHT, prompt=BOAT)


def test_shots_are_read_and_say_the_length_whatever_the_slider_says() -> None:
    request = read_form(replace(FORM, seconds=9.5))
    assert request.shots == (
        Shot(prompt="a boat leaves", seconds=2.0),
        Shot(prompt="the boat arrives", seconds=3.0, transition=Transition.CUT),
        Shot(prompt="it is night", seconds=1.0, transition=Transition.SAME_LOOK),
    )
    assert request.frames == 147
    assert request == read_form(FORM)


@pytest.mark.parametrize("stored", ["asdict", "json"])
def test_a_drafts_storyboard_comes_back_into_the_form(stored: str) -> None:
    request: dict[str, Any] = asdict(read_form(FORM))
    if stored == "json":
        request["shots"] = [shot | {"transition": str(shot["transition"])} for shot in request["shots"]]
    assert restore_form(request, DEFAULT).prompt == BOAT


def test_a_draft_of_an_older_version_comes_back_too() -> None:
    request: dict[str, Any] = asdict(read_form(FORM))
    request["shots"] = [{"prompt": shot["prompt"], "seconds": shot["seconds"]} for shot in request["shots"]]
    assert restore_form(request, DEFAULT).prompt == "[2s] a boat leaves / [3s] the boat arrives / [1s] it is night"


@pytest.mark.parametrize("prompt", ["[0s] a ball", "[2s]", "a ball [2s] b", "[40s] a / [40s] b", "[2s] a / [0.1s] b"])
def test_a_wrong_storyboard_is_refused_at_the_sentence(prompt: str) -> None:
    assert set(refusals(replace(FORM, prompt=prompt))) == {"prompt"}


def test_an_offer_shortens_every_shot() -> None:
    request = read_form(FORM)
    half = replace(request, frames=request.spec.nearest_frames(request.frames / 2, 3))
    form = form_with(FORM, half)
    again = read_form(form)
    assert again.frames == half.frames
    assert [shot.transition for shot in again.shots] == [shot.transition for shot in request.shots]
    assert [shot.seconds for shot in again.shots] == pytest.approx([1, 1.5, 0.5], rel=0.05)


def test_an_offer_of_another_kind_leaves_the_storyboard_as_it_was_typed() -> None:
    request = read_form(FORM)
    assert form_with(FORM, replace(request, lowest_precision="int4")).prompt == BOAT


def test_the_slider_stands_at_the_sum_and_cannot_be_moved() -> None:
    desk = FormDesk(LOOKS["balanced"], LOOKS)
    assert desk.follow_length(*astuple(FORM)) == gr.update(value=6.0, interactive=False)
    assert desk.follow_length(*astuple(replace(RIGHT, frames=57))) == gr.update(value=57 / 24, interactive=False)
    assert desk.follow_length(*astuple(replace(RIGHT, frames=1e9))) == gr.update(value=60.0, interactive=False)
    assert desk.follow_length(*astuple(replace(FORM, seconds=6.0))) == gr.update(interactive=False)  # it is there
    for free in ("a ball", "", None, "[0s] a ball"):
        assert desk.follow_length(*astuple(replace(RIGHT, prompt=free))) == gr.update(interactive=True)
    updates = dict(zip(FIELDS, fill(replace(FORM, seconds=3.0)), strict=True))
    assert updates["seconds"] == gr.update(value=6.0, interactive=False)
    assert dict(zip(FIELDS, fill(RIGHT), strict=True))["seconds"] == gr.update(value=RIGHT.seconds, interactive=True)


def test_words_of_the_brackets_are_not_taken_for_the_sentence_s() -> None:
    assert spoken(BOAT) == "a boat leaves the boat arrives it is night"
    assert spoken("a ball") == "a ball"
    assert seconds_told(FORM) == 6.0
    assert seconds_told(RIGHT) is None


# The badge ----------------------------------------------------------------------------------------------------------
def follow(sit: Any, monkeypatch: pytest.MonkeyPatch, found: Any) -> list[Any]:
    """The player's values of a finished draft, one after the other."""
    monkeypatch.setattr(desk_module, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(desk_module, "look_at_joins", lambda *_: found)

    async def views() -> list[Any]:
        return [view async for view, *_ in sit(Register(FINISHED)).follow(FINISHED.draft, REQUEST)]

    return asyncio.run(views())


def test_a_finished_draft_is_shown_at_once_and_its_badge_when_it_is_judged(
    sit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, again = follow(sit, monkeypatch, verdict({}, {}))
    assert first["joins"] is None
    assert second["joins"]["flagged"] is False
    assert second["joins"]["sentence"].startswith("Joins do not show: 2 of 2 pass.")
    told = [view["told_at"] for view in (first, second, again)]
    assert told == sorted(told)
    assert first | {"joins": second["joins"], "told_at": told[1]} == second == again | {"told_at": told[1]}


def test_a_draft_without_a_verdict_has_no_badge(sit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [view["joins"] for view in follow(sit, monkeypatch, None)] == [None, None]


def test_a_badge_comes_to_no_page_that_has_turned_to_another_draft(sit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = sit(Register(FINISHED))

    def turn(*_: object) -> Any:
        desk._followers["page"] = object()
        return verdict({})

    monkeypatch.setattr(desk_module, "look_at_joins", turn)

    async def views() -> list[Any]:
        return [view async for view, *_ in desk.follow(FINISHED.draft, REQUEST)]

    assert [view["joins"] for view in asyncio.run(views())] == [None]


def test_judging_does_not_hold_up_the_page(sit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another task runs while a film is judged, which waits for it."""
    asked = threading.Event()
    monkeypatch.setattr(desk_module, "look_at_joins", lambda *_: verdict({}) if asked.wait(30) else None)

    async def both() -> Any:
        follower = sit(Register(FINISHED)).follow(FINISHED.draft, REQUEST)
        await anext(follower)
        judged = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        asked.set()
        return (await judged)[0]

    assert asyncio.run(both())["joins"] is not None
