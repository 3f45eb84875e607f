"""A clock that is set while a draft is made changes no duration."""

import time
from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.engine import Engine
from pipeline.events import Event, Finished
from tests.conftest import PlanMaker

DAY = 86_400.0


@pytest.mark.fault(33)
@pytest.mark.usefixtures("tiny")
def test_durations_do_not_follow_the_clock(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, looks = time.time, 0

    def jumps() -> float:
        nonlocal looks
        looks += 1
        return true() + (DAY if looks % 2 else -DAY) * looks

    monkeypatch.setattr(time, "time", jumps)
    events: list[Event] = []
    Engine(tmp_path).run(make_plan(), "20260101-120000-0123456789abcdef", events.append)
    assert looks > 2
    assert isinstance(events[-1], Finished)
    for event in events:
        for field in fields(event):
            if field.name == "seconds":
                assert 0 <= event.seconds < DAY / 24, event
