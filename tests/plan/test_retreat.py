"""What is left where memory ran out: the same chunks, held in less at once."""

from typing import Any

import pytest

from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import LTX_13B, MINIATURE, WAN_A14B
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage, weight_bytes
from pipeline.plan.retreat import retreat
from pipeline.plan.spec import ModelSpec
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker


def descend(plan: DraftPlan, stage: Stage) -> list[DraftPlan]:
    plans = [plan]
    while (lower := retreat(plans[-1], stage)) is not None:
        plans.append(lower)
        assert len(plans) < 50
    return plans


@pytest.fixture
def on_a_card(make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker) -> Any:
    def make(spec: ModelSpec, gib: float = 80, **changes: Any) -> DraftPlan:
        request = make_request(model=spec.key, shape=spec.shapes[0], frames=spec.native_frames, **changes)
        return plan_draft(request, make_device(gib, DeviceKind.CUDA, ram_free_bytes=2**38), make_profile())

    return make


@pytest.mark.parametrize("spec", [LTX_13B, WAN_A14B], ids=lambda spec: spec.key)
@pytest.mark.parametrize("stage", Stage)
def test_each_step_down_takes_less_and_changes_nothing_else(on_a_card: Any, spec: ModelSpec, stage: Stage) -> None:
    plans = descend(on_a_card(spec), stage)
    assert len(plans) > 2
    needs = [plan.memory.choices[stage].card_bytes for plan in plans]
    assert needs == sorted(set(needs), reverse=True)
    for plan in plans:
        assert (plan.chunks, plan.slices, plan.request) == (plans[0].chunks, plans[0].slices, plans[0].request)
        others = {other: choice for other, choice in plan.memory.choices.items() if other is not stage}
        assert others in ({other: known.memory.choices[other] for other in others} for known in plans[:2])


def test_a_transformer_that_did_not_fit_is_streamed_in_the_end(on_a_card: Any) -> None:
    plans = descend(on_a_card(WAN_A14B), Stage.DENOISE)
    assert plans[0].memory.choices[Stage.DENOISE].placement is Placement.VISITING
    last = plans[-1].memory.choices[Stage.DENOISE]
    assert last.placement is Placement.STREAMED
    assert plans[-1].reasons[0] == f"Memory ran out in the denoise stage, so it goes on with {last.name}."


def test_a_decode_that_did_not_fit_goes_on_in_tiles(on_a_card: Any) -> None:
    plans = descend(on_a_card(WAN_A14B, 24), Stage.DECODE)
    assert [plan.memory.choices[Stage.DECODE].tile_pixels for plan in plans] == [None, 512, 256]


def test_a_text_encoder_that_was_to_stay_leaves_first(on_a_card: Any) -> None:
    plan = on_a_card(LTX_13B)
    assert plan.memory.choices[Stage.ENCODE].placement is Placement.KEPT
    for stage in (Stage.DENOISE, Stage.DECODE):
        lower = retreat(plan, stage)
        assert lower is not None
        assert lower.memory.choices[Stage.ENCODE].placement is Placement.VISITING
        assert "text encoder leaves" in lower.reasons[0]
        saved = {plan.memory.choices[s].card_bytes - lower.memory.choices[s].card_bytes for s in Stage}
        assert saved == {0, int(1.1 * weight_bytes(LTX_13B.text_encoder, Precision.BFLOAT16))}


def test_precision_goes_no_lower_than_was_allowed(on_a_card: Any) -> None:
    for lowest, coarsest in (("bfloat16", {Precision.BFLOAT16}), ("int8", {Precision.BFLOAT16, Precision.FP8})):
        plans = descend(on_a_card(LTX_13B, lowest_precision=lowest), Stage.DENOISE)
        assert {plan.memory.choices[Stage.DENOISE].precision for plan in plans} - {Precision.INT8} <= coarsest


def test_what_takes_more_main_memory_than_there_is_is_no_way_out(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    card = make_device(80, DeviceKind.CUDA, ram_free_bytes=12 * 2**30)
    request = make_request(model=LTX_13B.key, shape=LTX_13B.shapes[0], frames=121)
    plan = plan_draft(request, card, make_profile())
    for lower in descend(plan, Stage.DENOISE):
        assert lower.memory.choices[Stage.DENOISE].ram_bytes <= plan.memory.budget.ram_bytes


def test_on_the_processor_only_passes_and_tiles_can_become_smaller(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plan = plan_draft(make_request(shape=MINIATURE.shapes[0]), make_device(), make_profile())
    assert retreat(plan, Stage.ENCODE) is None
    apart = retreat(plan, Stage.DENOISE)
    assert apart is not None
    assert not apart.memory.choices[Stage.DENOISE].together
    assert retreat(apart, Stage.DENOISE) is None
