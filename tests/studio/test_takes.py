"""The sheet of takes: offered with what it takes, followed, stopped, thrown away; the draft has the take's seed."""

import asyncio
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipeline.drafts.finding import TAKE
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import DraftError
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import load_looks, load_profiles
from pipeline.studio import advice
from pipeline.studio.advice import Machine
from pipeline.studio.filling import fill
from pipeline.studio.forms import FIELDS, form_of
from pipeline.studio.takes import Takes
from tests.studio.test_player import FINISHED, RUNNING

FORM = replace(form_of(load_looks()["balanced"]), prompt="a red ball moves left over snow", seed="7")
VALUES = astuple(FORM)
REQUEST: Any = SimpleNamespace(headers={"accept-language": "en"}, session_hash="page")


class Worker:
    """Takes plans and makes nothing; stands where the worker does."""

    read_only = False
    most_waiting: int | None = None

    def __init__(self, drafts: Path, room: int = 99) -> None:
        self.drafts, self.room = drafts, room
        self.plans: dict[str, DraftPlan] = {}
        self.states: dict[str, DraftState] = {}
        self.stopped: list[str] = []

    def submit(self, plan: DraftPlan) -> str:
        if len(self.plans) >= self.room:
            raise DraftError("The queue is full.", "Wait.")
        draft = f"20260101-1200{len(self.plans):02d}-0123456789abcdef"
        (self.drafts / draft).mkdir(parents=True)
        self.plans[draft] = plan
        return draft

    def status(self, draft: str) -> DraftStatus | None:
        if draft not in self.plans or not (self.drafts / draft).exists():
            return None
        state = self.states.get(draft, DraftState.RUNNING)
        like = FINISHED if state is DraftState.FINISHED else replace(RUNNING, state=state)
        return replace(
            like,
            draft=draft,
            version=list(DraftState).index(state),
            request={"seed": self.plans[draft].request.seed, "shots": []},
        )

    def stop(self, draft: str) -> None:
        self.stopped.append(draft)
        if self.states.get(draft) is None:
            self.states[draft] = DraftState.STOPPED

    def delete(self, draft: str) -> int:
        for path in (self.drafts / draft).iterdir():
            path.unlink()
        (self.drafts / draft).rmdir()
        return 0


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


@pytest.fixture
def takes(worker: Worker, make_device: Callable[..., Device], monkeypatch: pytest.MonkeyPatch) -> Takes:
    known: Any = worker
    monkeypatch.setattr(advice, "probe_device", lambda **_: make_device(8))
    return Takes(known, Machine(load_profiles(), worker.drafts), fill)


def event(**data: object) -> Any:
    return SimpleNamespace(_data=data)


def begin(takes: Takes, count: int = 4, old: str | None = None) -> str:
    name, kept = takes.start(REQUEST, event(count=count), old, *VALUES)
    assert name == kept
    return str(name)


def test_what_a_sheet_takes_is_told_before(takes: Takes) -> None:
    offered = takes.offer(REQUEST, *VALUES)
    assert [choice["count"] for choice in offered["choices"]] == [4, 9]
    assert offered["choices"][0]["label"].startswith("4 takes · about ")
    assert "in 6 steps" in offered["help"]
    wrong = replace(FORM, steps=-1)
    assert takes.offer(REQUEST, *astuple(wrong))["choices"] == []


def test_takes_are_short_drafts_with_seeds_of_their_own_that_stay_off_the_shelf(takes: Takes, worker: Worker) -> None:
    begin(takes, 9)
    requests = [plan.request for plan in worker.plans.values()]
    assert len({request.seed for request in requests}) == 9
    assert {request.steps for request in requests} == {6}
    assert all((worker.drafts / draft / TAKE).exists() for draft in worker.plans)


def test_no_more_are_offered_or_made_than_one_visitor_may_have(worker: Worker, takes: Takes) -> None:
    worker.most_waiting = 4
    few = Takes(takes._worker, takes._machine, fill)
    assert [choice["count"] for choice in few.offer(REQUEST, *VALUES)["choices"]] == [4]
    begin(few, 9)
    assert len(worker.plans) == 4


def test_fewer_takes_than_asked_for_are_told(takes: Takes, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()
    monkeypatch.setattr(gr, "Warning", lambda said, **_: told.append(said))
    worker.room = 3
    begin(takes)
    assert told == ["3 takes are made. The queue is full. Wait."]


@pytest.mark.parametrize("count", [1_000_000, -1, None, "4"])
def test_a_number_nobody_offered_is_the_smaller_one(takes: Takes, worker: Worker, count: object) -> None:
    takes.start(REQUEST, event(count=count), None, *VALUES)
    assert len(worker.plans) == 4


def test_the_draft_of_a_take_has_its_seed_and_all_else_as_the_form_was(takes: Takes, worker: Worker) -> None:
    name = begin(takes)
    chosen = list(worker.plans)[2]
    worker.states[chosen] = DraftState.FINISHED
    draft, kept, *fields = takes.pick(REQUEST, event(draft=chosen), name)
    made = worker.plans[str(draft)].request
    assert draft == kept
    assert made.seed == worker.plans[chosen].request.seed
    assert (made.prompt, made.steps, made.frames) == (FORM.prompt, FORM.steps, 97)
    assert fields[FIELDS.index("seed")] == str(made.seed)
    assert set(worker.stopped) == set(list(worker.plans)[:4])  # the rest is not wanted any more


@pytest.mark.parametrize("draft", ["20260101-120059-0123456789abcdef", "", None])
def test_a_take_that_is_gone_is_told(takes: Takes, draft: object) -> None:
    with pytest.raises(gr.Error, match="not there any more"):
        takes.pick(REQUEST, event(draft=draft), begin(takes))
    with pytest.raises(gr.Error, match="not there any more"):
        takes.pick(REQUEST, event(draft=draft), None)


def test_a_sheet_is_followed_until_all_takes_are_over(takes: Takes, worker: Worker) -> None:
    name = begin(takes)

    async def follow() -> list[dict[str, Any]]:
        seen = []
        async for view in takes.follow(name, REQUEST):
            seen.append(view)
            worker.states |= dict.fromkeys(list(worker.plans)[:3], DraftState.FINISHED)
            worker.states[list(worker.plans)[3]] = DraftState.STOPPED
        return seen

    first, last = asyncio.run(follow())
    assert first["making"]
    assert [tile["state"] for tile in first["tiles"]] == ["making"] * 4
    assert first["tiles"][0]["preview"] is not None
    assert not last["making"]
    assert [tile["state"] for tile in last["tiles"]] == ["done", "done", "done", "nothing"]
    assert [tile["file"] for tile in last["tiles"]] == ["draft.mp4"] * 3 + [None]


def test_nothing_of_an_older_sheet_is_shown_once_the_page_has_another(takes: Takes) -> None:
    old = begin(takes)

    async def turn() -> list[dict[str, Any]]:
        older = takes.follow(old, REQUEST)
        await anext(older)
        newer = takes.follow(begin(takes, old=old), REQUEST)
        await anext(newer)
        return [view async for view in older]

    assert asyncio.run(turn()) == []


def test_a_new_sheet_throws_the_old_one_away_but_only_once_there_is_one(takes: Takes, worker: Worker) -> None:
    old = begin(takes)
    before = list(worker.plans)
    worker.room = 4
    with pytest.raises(gr.Error, match="queue is full"):
        begin(takes, old=old)
    assert all((worker.drafts / draft).exists() for draft in before)
    assert set(before) <= set(worker.stopped)  # they would be in the way of the new ones
    worker.room = 99
    new = begin(takes, old=old)
    assert not any((worker.drafts / draft).exists() for draft in before)
    assert (takes.restore(old), takes.restore(new), takes.restore(7)) == (None, new, None)


def test_stopping_a_sheet_stops_its_takes_and_nobody_elses(takes: Takes, worker: Worker) -> None:
    begin(takes)
    mine = begin(takes)
    takes.stop(mine)
    takes.stop(None)
    assert worker.stopped == list(worker.plans)[4:]


def test_takes_of_the_last_time_are_swept_up(worker: Worker, takes: Takes) -> None:
    begin(takes)
    known: Any = worker
    Takes(known, Machine(load_profiles(), worker.drafts), fill)
    assert not list(worker.drafts.iterdir())
