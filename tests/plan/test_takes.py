"""A take is the first chunk of its draft in few steps: of its size, with its noise."""

from dataclasses import replace

import pytest

from pipeline.plan.alternatives import plan_draft
from pipeline.plan.request import Shot
from pipeline.plan.takes import LEAST_STEPS, take_of
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker


@pytest.mark.parametrize("frames", [9, 25, 97, 241])
def test_a_take_has_the_noise_of_its_drafts_first_chunk(
    make_plan: PlanMaker, make_device: DeviceMaker, make_profile: ProfileMaker, frames: int
) -> None:
    plan = make_plan(frames=frames, steps=24, seed=1)
    wanted = take_of(plan, seed=99)
    take = plan_draft(wanted, make_device(gib=64.0), make_profile())
    assert len(take.chunks) == 1
    first, (only,) = replace(plan.chunks[0], seed=99), take.chunks
    assert (only.start, only.stop, only.overlap, only.seed) == (first.start, first.stop, first.overlap, first.seed)
    assert (wanted.shape, wanted.guidance, wanted.model) == (
        plan.request.shape,
        plan.request.guidance,
        plan.request.model,
    )
    assert wanted.steps == 6


@pytest.mark.parametrize(("steps", "few"), [(1, 1), (4, LEAST_STEPS), (8, LEAST_STEPS), (50, 13)])
def test_few_steps_are_a_quarter_but_enough_for_a_distilled_model(make_plan: PlanMaker, steps: int, few: int) -> None:
    assert take_of(make_plan(steps=steps), seed=0).steps == few


def test_a_take_of_a_storyboard_is_of_its_first_shot(make_plan: PlanMaker) -> None:
    plan = make_plan(frames=97)
    shots = (Shot(prompt="a boat leaves", seconds=2.0), Shot(prompt="it arrives", seconds=97 / 24 - 2.0))
    told = replace(plan, request=replace(plan.request, shots=shots))
    assert [shot.prompt for shot in take_of(told, seed=0).shots] == ["a boat leaves"]
