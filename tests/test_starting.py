"""What an engine does before the first step: it looks again at what is free, and refuses what cannot be carried out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import engine as engine_module
from pipeline.drafts.measurements import Measurements
from pipeline.engine import Engine
from pipeline.errors import DoesNotFit, InvalidRequest
from pipeline.events import Event, Finished, Started
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.device import Device, suppose_card
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.spec import VideoShape
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker, RequestMaker
from tests.tiny import make_draft, of

pytestmark = pytest.mark.usefixtures("tiny")
LARGE = VideoShape(width=320, height=320)


@pytest.fixture
def machine_becomes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Device], None]:
    """Whoever asks the machine from now on finds another."""

    def become(device: Device) -> None:
        monkeypatch.setattr(engine_module, "probe_device", lambda **_: device)

    return become


def tight(plan: DraftPlan) -> int:
    """A byte less than a plan needs."""
    return plan.memory.peak_bytes - 1


def test_a_plan_that_still_fits_is_carried_out_as_it_is(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan()
    events, _ = make_draft(tmp_path, plan)
    assert of(Started, events)[0].plan == plan


@pytest.mark.fault(30)
def test_where_memory_shrank_since_the_plan_it_is_planned_again_and_says_so(
    tmp_path: Path, make_plan: PlanMaker, make_device: DeviceMaker, machine_becomes: Callable[[Device], None]
) -> None:
    plan = make_plan(shape=LARGE, frames=49, steps=1, guidance=1.0)
    machine_becomes(replace(make_device(), free_bytes=tight(plan), ram_free_bytes=tight(plan)))
    events, _ = make_draft(tmp_path, plan)
    again = of(Started, events)[0].plan
    assert again.memory.peak_bytes < plan.memory.peak_bytes
    assert again.reasons[0].startswith("Planned again when it began: ")
    assert of(Finished, events)[0].frames == 49


@pytest.mark.fault(30, 31)
def test_where_nothing_fits_any_more_it_is_said_before_anything_is_loaded(
    tmp_path: Path, make_plan: PlanMaker, make_device: DeviceMaker, machine_becomes: Callable[[Device], None]
) -> None:
    machine_becomes(make_device(gib=0.1))
    events: list[Event] = []
    with pytest.raises(DoesNotFit):
        Engine(tmp_path).run(make_plan(), "20260101-120000-0123456789abcdef", events.append)
    assert not events


@pytest.mark.fault(1, 2)
@pytest.mark.parametrize("stage", [Stage.DENOISE, Stage.DECODE])
def test_a_plan_in_whose_way_memory_ran_out_since_is_made_anew_and_says_so(
    tmp_path: Path,
    make_plan: PlanMaker,
    make_device: DeviceMaker,
    machine_becomes: Callable[[Device], None],
    stage: Stage,
) -> None:
    """As of a draft that waited while another ran out of memory; one of another size goes on as it was planned."""
    plan, other = make_plan(shape=LARGE, frames=49, steps=1), make_plan()
    machine_becomes(make_device(gib=64.0))
    need = plan.memory.choices[stage].card_bytes
    Measurements(tmp_path).record_ran_out(plan, {stage: need})
    events, _ = make_draft(tmp_path, plan)
    again = of(Started, events)[0].plan
    assert again.memory.choices[stage].card_bytes < need
    assert "memory ran out since" in again.reasons[0]
    assert of(Finished, events)[0].frames == 49
    assert of(Started, make_draft(tmp_path, other)[0])[0].plan == other


def test_a_plan_for_a_card_that_is_not_here_is_refused(
    tmp_path: Path, make_request: RequestMaker, make_profile: ProfileMaker
) -> None:
    plan = plan_draft(make_request(), suppose_card(12), make_profile())
    with pytest.raises(InvalidRequest, match="no such card here: a supposed card with 12 GB"):
        Engine(tmp_path).run(plan, "20260101-120000-0123456789abcdef", lambda _: None)
