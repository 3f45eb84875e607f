"""A watchdog tells a process that stands still from one that works, rests, or was stopped together with its watcher."""

from ctypes import c_uint64
from dataclasses import replace

import pytest

from pipeline.events import Encoded, StepDone, Stopped
from pipeline.heartbeat import SILENCE_SECONDS, STARTING_SECONDS, Watchdog
from pipeline.plan.draft import DraftPlan
from tests.conftest import PlanMaker


class Watched:
    """A watchdog that looks once a second of a clock that passes only here."""

    def __init__(self) -> None:
        self.now, self.beats = 100.0, c_uint64(0)
        self.dog = Watchdog(self.beats, lambda: self.now)

    def silent_for(self, seconds: int) -> bool:
        """Whether it hangs at the end."""
        said = False
        for _ in range(seconds):
            self.now += 1
            said = self.dog.hangs()
        return said


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    return make_plan()


def test_a_minute_without_a_beat_is_too_long_and_a_beat_begins_it_anew(watched: Watched, plan: DraftPlan) -> None:
    watched.dog.expect(plan)
    assert watched.dog.limit_seconds == SILENCE_SECONDS == 60
    assert not watched.silent_for(60)
    watched.beats.value += 1
    assert not watched.silent_for(60)
    watched.dog.heard(Encoded(sentences=1, cached=0, seconds=1.0))  # whoever speaks is alive
    assert not watched.silent_for(60)
    assert watched.silent_for(1)
    watched.dog.heard(Stopped(file=None, frames=0, chunks=0, seconds=1.0))
    assert not watched.silent_for(1000)


def test_while_it_starts_it_has_more_time(watched: Watched) -> None:
    assert not watched.silent_for(int(STARTING_SECONDS))
    assert watched.silent_for(1)


def test_ten_slow_steps_may_pass_by_the_forecast_first_and_then_as_measured(watched: Watched, plan: DraftPlan) -> None:
    slow = dict.fromkeys(plan.forecast.stage_seconds, 40.0)
    watched.dog.expect(replace(plan, forecast=replace(plan.forecast, stage_seconds=slow)))  # two steps, one slice
    assert watched.dog.limit_seconds == 400
    for seconds in (8.0, 9.0, 500.0):
        watched.dog.heard(StepDone(chunk=0, step=1, steps=2, seconds=seconds, preview=None))
    assert watched.dog.limit_seconds == 90
    assert not watched.silent_for(90)
    assert watched.silent_for(1)


def test_one_that_has_nothing_to_do_may_stand_still(watched: Watched, plan: DraftPlan) -> None:
    watched.dog.heard(None)
    assert not watched.silent_for(1000)
    watched.dog.expect(plan)
    assert not watched.silent_for(60)


def test_a_watcher_that_was_stopped_blames_nobody(watched: Watched, plan: DraftPlan) -> None:
    watched.dog.expect(plan)
    watched.now += 3600
    assert not watched.dog.hangs()
