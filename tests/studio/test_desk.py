"""The desk: a follower shows every change and never touches a draft; a reload finds draft and form again."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, astuple, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import DraftError
from pipeline.plan.catalog import CATALOG, LTX_2B, WAN_5B, WAN_A14B
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import load_looks, load_profiles
from pipeline.studio import advice
from pipeline.studio import desk as desk_module
from pipeline.studio.advice import Machine
from pipeline.studio.desk import Desk, Studio
from pipeline.studio.forms import FIELDS, form_for, form_of
from tests.studio.test_player import FINISHED, QUEUED, RUNNING, SECOND
from tests.test_installed import whole
from tests.test_weights import Keeper, hub, keep

__all__ = ["hub", "keep"]
LOOK = load_looks()["balanced"]
RIGHT = astuple(replace(form_of(LOOK), prompt="a red ball moves left over snow", seed="7"))
REQUEST: Any = SimpleNamespace(headers={"accept-language": "en"}, session_hash="page")


class Register:
    """Drafts that change when a test says so; stands where the worker does and makes nothing."""

    ready, read_only, keep_bytes, keep_hours, most_waiting = True, False, None, None, None

    def __init__(self, *drafts: DraftStatus) -> None:
        self.drafts = {status.draft: status for status in drafts}
        self.submitted: list[DraftPlan] = []
        self.stopped: list[str] = []
        self.paused: list[str] = []
        self.resumed: list[str] = []

    def submit(self, plan: DraftPlan) -> str:
        if self.submitted:
            raise DraftError("1 drafts are waiting already.", "Wait for one to finish.")
        self.submitted.append(plan)
        return QUEUED.draft

    def status(self, draft: str) -> DraftStatus | None:
        return self.drafts.get(draft)

    def lists(self, draft: str) -> bool:
        return draft in self.drafts

    def stop(self, draft: str) -> None:
        self.stopped.append(draft)

    def pause(self, draft: str) -> None:
        if draft not in self.drafts:
            raise DraftError("There is no such draft.")
        self.paused.append(draft)

    def resume(self, draft: str) -> None:
        if draft not in self.drafts:
            raise DraftError("There is no such draft.")
        self.resumed.append(draft)


@pytest.fixture
def sit(make_device: Callable[..., Device], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Desk]:
    """A desk in front of a register."""

    def make(register: Register, gib: float = 8) -> Desk:
        monkeypatch.setattr(advice, "probe_device", lambda **_: make_device(gib))
        worker: Any = register
        return Desk(Studio(worker=worker, machine=Machine(load_profiles(), tmp_path), look=LOOK))

    return make


def test_a_follower_shows_every_change_until_the_draft_is_over_and_that_twice(
    sit: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "AGAIN_SECONDS", 0.0)
    register = Register(QUEUED)

    async def follow() -> list[str]:
        coming = [replace(RUNNING, version=1), replace(SECOND, version=2), replace(FINISHED, version=3)]
        said = []
        async for view, *_ in sit(register).follow(QUEUED.draft, REQUEST):
            said.append(view["sentence"])
            if coming:
                register.drafts[QUEUED.draft] = coming.pop(0)
        return said

    assert asyncio.run(follow()) == [
        "Starting…",
        "Making chunk 1 of 3",
        "Making chunk 2 of 3",
        "Done: 4.0 seconds of video",
        "Done: 4.0 seconds of video",  # lest something of an older draft arrived after the first
    ]
    assert not register.stopped


def test_a_follower_gives_way_to_a_newer_one_on_the_same_page(sit: Callable[..., Desk]) -> None:
    desk = sit(Register(RUNNING, replace(SECOND, draft="20260101-120000-fedcba9876543210")))

    async def follow_two() -> int:
        older = desk.follow(RUNNING.draft, REQUEST)
        await anext(older)
        newer = desk.follow("20260101-120000-fedcba9876543210", REQUEST)
        coming = asyncio.ensure_future(anext(newer))
        await asyncio.sleep(0)
        left = [_ async for _ in older]
        await coming
        await newer.aclose()
        return len(left)

    assert asyncio.run(follow_two()) == 0


def test_what_is_set_aside_is_paused_or_taken_out_of_the_queue_and_a_refusal_is_told(sit: Callable[..., Desk]) -> None:
    register = Register(RUNNING)
    desk = sit(register)
    for way in ("pause", "remove"):
        desk.set_aside(REQUEST, SimpleNamespace(_data={"draft": RUNNING.draft, "way": way}))  # type: ignore[arg-type]
    assert (register.paused, register.stopped) == ([RUNNING.draft], [RUNNING.draft])
    with pytest.raises(gr.Error, match="no such draft"):
        desk.set_aside(REQUEST, SimpleNamespace(_data={"draft": "nothing", "way": "pause"}))  # type: ignore[arg-type]


def test_leaving_the_page_touches_no_draft(sit: Callable[..., Desk]) -> None:
    register = Register(RUNNING)

    async def leave() -> None:
        follower = sit(register).follow(RUNNING.draft, REQUEST)
        await anext(follower)
        await follower.aclose()

    asyncio.run(leave())
    assert not register.stopped


def test_an_unknown_draft_leaves_the_page_ready(sit: Callable[..., Desk]) -> None:
    async def follow() -> list[Any]:
        return [update async for update in sit(Register()).follow("nothing", REQUEST)]

    ((view, make, stop, go_on, _),) = asyncio.run(follow())
    assert view is None
    assert (make["interactive"], stop["interactive"], go_on["visible"]) == (True, False, False)


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (DraftState.RUNNING, False),
        (DraftState.STOPPING, False),
        (DraftState.FINISHED, False),
        (DraftState.STOPPED, True),
        (DraftState.FAILED, True),
    ],
)
def test_only_a_draft_that_is_not_finished_can_be_continued(
    sit: Callable[..., Desk], state: DraftState, offered: bool
) -> None:
    async def first() -> tuple[Any, ...]:
        follower = sit(Register(replace(SECOND, state=state))).follow(SECOND.draft, REQUEST)
        shown = await anext(follower)
        await follower.aclose()
        return shown

    assert asyncio.run(first())[3]["visible"] is offered


def test_continuing_is_asked_of_the_worker_and_a_refusal_is_told(sit: Callable[..., Desk]) -> None:
    register = Register(SECOND)
    desk = sit(register)
    desk.resume_draft(REQUEST, SECOND.draft)
    desk.resume_draft(REQUEST, None)
    assert register.resumed == [SECOND.draft]
    with pytest.raises(gr.Error, match="no such draft"):
        desk.resume_draft(REQUEST, "nothing")


def test_a_right_form_is_planned_and_submitted(sit: Callable[..., Desk]) -> None:
    register = Register()
    draft, kept, refused = sit(register).make(REQUEST, *RIGHT)
    assert (draft, kept, refused["said"]) == (QUEUED.draft, QUEUED.draft, {})
    assert register.submitted[0].request.prompt == "a red ball moves left over snow"


def test_a_full_queue_is_told(sit: Callable[..., Desk]) -> None:
    desk = sit(Register())
    desk.make(REQUEST, *RIGHT)
    with pytest.raises(gr.Error, match="Wait for one to finish"):
        desk.make(REQUEST, *RIGHT)


def test_what_does_not_fit_is_not_submitted(sit: Callable[..., Desk]) -> None:
    register = Register()
    with pytest.raises(gr.Error, match="MiB are allowed"):
        sit(register, gib=1.01).make(REQUEST, *RIGHT)
    assert not register.submitted


def test_a_refused_field_is_told_anew_at_every_press_and_nothing_is_submitted(sit: Callable[..., Desk]) -> None:
    register = Register()
    values = list(RIGHT)
    values[FIELDS.index("seed")] = "x"
    first, second = (sit(register).make(REQUEST, *values)[2] for _ in range(2))
    assert list(first["said"]) == ["seed"]
    assert first["said"] == second["said"]
    assert first["press"] != second["press"]  # or the page would not draw it again
    assert not register.submitted


def test_each_field_gets_a_verdict(sit: Callable[..., Desk]) -> None:
    values = list(RIGHT)
    values[FIELDS.index("seed")] = "x"
    assert list(sit(Register()).check(REQUEST, *values)) == ["seed"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_model_that_is_not_here_is_refused_at_its_field_with_the_command(
    sit: Callable[..., Desk], keep: Keeper, language: str
) -> None:
    request: Any = SimpleNamespace(headers={"accept-language": language})
    values = astuple(replace(form_for(LTX_2B), prompt="a boat"))
    assert sit(Register()).check(request, *values)["model"].endswith("python -m pipeline download ltx-2b")
    keep(LTX_2B.repository, *whole(LTX_2B))
    assert not sit(Register()).check(request, *values)


def test_a_model_there_is_none_of_is_refused_as_such(sit: Callable[..., Desk]) -> None:
    values = astuple(replace(form_of(LOOK), prompt="a boat", model="sora"))
    assert "There is no model 'sora'" in sit(Register()).check(REQUEST, *values)["model"]


def test_models_that_are_here_are_offered_first_and_plainly(sit: Callable[..., Desk], keep: Keeper) -> None:
    desk = sit(Register())
    labels, keys = zip(*desk.list_models(REQUEST)["choices"], strict=True)
    assert keys == tuple(CATALOG)
    assert labels[0] == "Miniature"
    assert all(" · not downloaded, " in label for label in labels[1:])
    keep(WAN_A14B.repository, *whole(WAN_A14B))
    keep(WAN_5B.repository, "model_index.json")
    labels, keys = zip(*desk.list_models(REQUEST)["choices"], strict=True)
    assert labels[:2] == ("Miniature", "Wan2.2 T2V-A14B")
    assert keys == ("miniature", "wan-a14b", *(key for key in CATALOG if key not in ("miniature", "wan-a14b")))
    assert labels[keys.index("wan-5b")].startswith("Wan2.2 TI2V-5B · partly downloaded, 21.2")


def test_a_reload_lists_the_models_anew(sit: Callable[..., Desk], keep: Keeper) -> None:
    desk, model = sit(Register()), 1 + FIELDS.index("model")
    kept = asdict(form_for(LTX_2B))
    assert desk.restore(REQUEST, None, kept)[model]["choices"] == desk.list_models(REQUEST)["choices"]
    keep(LTX_2B.repository, *whole(LTX_2B))
    update = desk.restore(REQUEST, None, kept)[model]
    assert (update["value"], update["choices"][1]) == ("ltx-2b", (LTX_2B.title, "ltx-2b"))


def values_of(updates: list[Any]) -> tuple[Any, ...]:
    """What stands in the fields after some updates."""
    return tuple(update["value"] if isinstance(update, dict) else update for update in updates)


def test_a_reload_finds_draft_and_form(sit: Callable[..., Desk]) -> None:
    kept = dict(zip(FIELDS, RIGHT, strict=True))
    draft, *rest = sit(Register(RUNNING)).restore(REQUEST, RUNNING.draft, kept)
    assert draft == RUNNING.draft
    assert rest[len(FIELDS)]["draft"] == draft  # the player shows it at once
    assert values_of(rest[: len(FIELDS)]) == RIGHT


def test_who_comes_for_the_first_time_is_not_disturbed_in_typing(sit: Callable[..., Desk]) -> None:
    _, *rest = sit(Register()).restore(REQUEST, None, None)
    assert not [update for update in rest[: len(FIELDS)] if "value" in update]


@pytest.mark.parametrize("kept", [7, "x", {"steps": 7}, []], ids=str)
def test_what_a_browser_kept_wrongly_is_ignored(sit: Callable[..., Desk], kept: object) -> None:
    draft, *rest = sit(Register()).restore(REQUEST, kept, kept)
    assert draft is None
    assert values_of(rest[: len(FIELDS)]) == astuple(form_of(LOOK))
