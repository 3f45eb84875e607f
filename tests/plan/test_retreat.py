"""What is left where memory ran out: the same draft, held in less at once, as far down as there is a way."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import DoesNotFit
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import ANYFLOW_1_3B, LTX_13B, MINIATURE, WAN_A14B
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import no_experience
from pipeline.plan.memory import Placement, Precision, Stage, weight_bytes
from pipeline.plan.placement import choices
from pipeline.plan.planner import decide, workload
from pipeline.plan.rates import guess_rates
from pipeline.plan.retreat import exhausted, retreat
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker
from tests.plan.descent import descend, need


@pytest.fixture
def on_a_card(make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker) -> Any:
    def make(spec: ModelSpec, gib: float = 80, **changes: Any) -> DraftPlan:
        request = make_request(**{"model": spec.key, "shape": spec.shapes[0], "frames": spec.native_frames} | changes)
        return plan_draft(request, make_device(gib, DeviceKind.CUDA, ram_free_bytes=2**38), make_profile())

    return make


@pytest.mark.parametrize("spec", [LTX_13B, WAN_A14B], ids=lambda spec: spec.key)
@pytest.mark.parametrize("stage", Stage)
def test_each_step_down_takes_less_and_changes_nothing_else(on_a_card: Any, spec: ModelSpec, stage: Stage) -> None:
    plans = descend(on_a_card(spec), stage)
    assert len(plans) > 2
    for plan in plans:
        assert stage is Stage.DENOISE or plan.chunks == plans[0].chunks
        assert stage is not Stage.ENCODE or plan.slices == plans[0].slices
        others = {other: choice for other, choice in plan.memory.choices.items() if other is not stage}
        assert others in ({other: known.memory.choices[other] for other in others} for known in plans[:2])


def test_a_transformer_that_did_not_fit_is_streamed_in_the_end(on_a_card: Any) -> None:
    plans = descend(on_a_card(WAN_A14B), Stage.DENOISE)
    assert plans[0].memory.choices[Stage.DENOISE].placement is Placement.VISITING
    last = plans[-1].memory.choices[Stage.DENOISE]
    assert last.placement is Placement.STREAMED
    streamed = next(p for p in plans if p.memory.choices[Stage.DENOISE].placement is Placement.STREAMED)
    name = streamed.memory.choices[Stage.DENOISE].name
    assert streamed.reasons[0] == f"Memory ran out in the denoise stage, so it goes on with {name}."


def test_what_is_left_is_cut_into_shorter_chunks_that_go_on_from_what_is_finished(on_a_card: Any) -> None:
    plan = on_a_card(LTX_13B, frames=257, chunk_frames=121, overlap_frames=25)
    (shorter, *_) = (p for p in descend(plan, Stage.DENOISE, chunks_done=1) if p.chunks != plan.chunks)
    longest = max(chunk.latents for chunk in shorter.chunks[1:])
    assert max(chunk.latents for chunk in plan.chunks[1:]) == 14
    assert longest == 9  # of at most 10, three quarters of that, in two equal pieces
    assert shorter.chunks[0] == plan.chunks[0]
    assert {chunk.overlap for chunk in shorter.chunks[1:]} == {4}
    assert len(shorter.chunks) > len(plan.chunks)
    assert f"in chunks of {LTX_13B.frames_of(9)} frames" in shorter.reasons[0]
    assert shorter.memory.disk_bytes > plan.memory.disk_bytes


def test_a_causal_model_is_given_less_of_what_came_before(on_a_card: Any) -> None:
    plan = on_a_card(ANYFLOW_1_3B, 24, frames=ANYFLOW_1_3B.frames_of(40))
    last = descend(plan, Stage.DENOISE, chunks_done=2)[-1]
    assert [chunk.blocks for chunk in last.chunks] == [chunk.blocks for chunk in plan.chunks]
    assert max(chunk.overlap for chunk in last.chunks[2:]) < max(chunk.overlap for chunk in plan.chunks[2:])
    assert min(chunk.overlap for chunk in last.chunks[2:]) >= 1


@pytest.mark.fault(2, 3)
def test_the_processor_is_the_last_way_to_read_and_to_decode(on_a_card: Any) -> None:
    for spec in (LTX_13B, WAN_A14B):
        for stage in (Stage.ENCODE, Stage.DECODE):
            placements = [plan.memory.choices[stage].placement for plan in descend(on_a_card(spec, 24), stage)]
            assert placements[-1] is Placement.HOST
            assert Placement.HOST not in placements[:-1]
        assert all(
            plan.memory.choices[Stage.DENOISE].placement is not Placement.HOST
            for plan in descend(on_a_card(spec, 24), Stage.DENOISE)
        )


def test_the_processor_decodes_only_where_main_memory_has_room_beside_what_waits_there(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=WAN_A14B.key, shape=WAN_A14B.shapes[0], frames=81)
    for ram_gib, found in ((256, True), (55, False)):
        card = make_device(80, DeviceKind.CUDA, ram_free_bytes=ram_gib * 2**30)
        plan = plan_draft(request, card, make_profile())
        assert plan.memory.choices[Stage.DENOISE].parked
        last = descend(plan, Stage.DECODE)[-1].memory
        assert (last.choices[Stage.DECODE].placement is Placement.HOST) is found
        assert last.ram_bytes <= last.budget.ram_bytes


def test_windows_become_smaller_where_tiles_are_not_enough(on_a_card: Any) -> None:
    plans = descend(on_a_card(LTX_13B), Stage.DECODE, chunks_done=1, slices_done=1)
    ways = [plan.memory.choices[Stage.DECODE] for plan in plans]
    assert (ways[-2].tile_pixels, ways[-2].window_latents) == (256, 4)
    assert {piece.stop - piece.start for piece in plans[-2].slices[1:]} <= {1, 2, 3, 4}
    assert plans[-2].slices[0] == plans[0].slices[0]


@pytest.mark.fault(5)
def test_where_no_way_is_left_the_need_what_is_allowed_and_what_would_fit_are_told(on_a_card: Any) -> None:
    last = descend(on_a_card(LTX_13B, 12), Stage.DENOISE)[-1]
    error = exhausted(last, Stage.DENOISE)
    assert (error.need_bytes, error.budget_bytes) == (need(last, Stage.DENOISE), last.memory.budget_bytes)
    assert f"{error.need_bytes / 2**30:.1f} GiB by the forecast, and 12.0 GiB are allowed" in error.message
    assert error.hint.startswith("What should fit: ")
    assert "busy with denoise" in str(error)


def test_a_decode_that_did_not_fit_goes_on_in_tiles(on_a_card: Any) -> None:
    plans = descend(on_a_card(WAN_A14B, 24), Stage.DECODE)
    tiles = [plan.memory.choices[Stage.DECODE].tile_pixels for plan in plans]
    assert tiles[:3] == [None, 512, 256]


@pytest.mark.fault(3)
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


def test_what_cannot_wait_in_main_memory_is_loaded_anew_and_so_is_what_decodes(on_a_card: Any) -> None:
    shape = VideoShape(width=256, height=256)
    plan = on_a_card(LTX_13B, shape=shape, frames=17, steps=4, guidance=1.0, lowest_precision="int4", encoder="unload")
    load = workload(plan.request, plan.chunks)
    offered = choices(Stage.DENOISE, load, plan.memory.device, lowest=Precision.INT8)
    waiting = next(choice for choice in offered if choice.precision is Precision.INT8 and choice.parked)
    chosen = {stage: replace(choice, parked=True) for stage, choice in plan.memory.choices.items()}
    memory = replace(plan.memory, choices=chosen | {Stage.DENOISE: waiting})
    lower = descend(replace(plan, memory=memory), Stage.DENOISE)[1].memory.choices
    assert lower[Stage.DENOISE].precision is Precision.INT4
    assert {choice.parked for choice in lower.values()} == {False}


@pytest.mark.fault(31)
def test_what_takes_more_main_memory_than_there_is_is_no_way_out(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    card = make_device(80, DeviceKind.CUDA, ram_free_bytes=12 * 2**30)
    request = make_request(model=LTX_13B.key, shape=LTX_13B.shapes[0], frames=121)
    plan = plan_draft(request, card, make_profile())
    for lower in descend(plan, Stage.DENOISE):
        assert lower.memory.choices[Stage.DENOISE].ram_bytes <= plan.memory.budget.ram_bytes


def test_on_the_processor_passes_chunks_and_tiles_can_become_smaller(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plan = plan_draft(make_request(shape=MINIATURE.shapes[0]), make_device(), make_profile())
    assert retreat(plan, Stage.ENCODE) is None
    apart = retreat(plan, Stage.DENOISE)
    assert apart is not None
    assert not apart.memory.choices[Stage.DENOISE].together
    assert apart.chunks == plan.chunks
    shorter = retreat(apart, Stage.DENOISE)
    assert shorter is not None
    assert len(shorter.chunks) > len(plan.chunks)
    assert {choice.placement for choice in shorter.memory.choices.values()} == {Placement.VISITING}


def test_the_next_plan_needs_less_than_what_ran_out_or_is_refused(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    device = make_device(24, DeviceKind.CUDA, ram_free_bytes=2**38)
    request = make_request(model=LTX_13B.key, shape=LTX_13B.shapes[0], frames=121)
    plan, planned = plan_draft(request, device, make_profile()), list[DraftPlan]()
    for stage in Stage:
        for rung in descend(plan, stage)[:-1]:
            taught = replace(no_experience(guess_rates(device)), too_much_bytes={stage: need(rung, stage)})
            again = decide(request, device, make_profile(), taught)
            assert need(again, stage) < need(rung, stage)
            assert sum(piece.frames for piece in again.slices) == 121
            assert any(f"The {stage} stage ran out of memory here at" in reason for reason in again.reasons)
            planned.append(again)
    on_host = {stage for stage in Stage for p in planned if p.memory.choices[stage].placement is Placement.HOST}
    assert on_host == {Stage.ENCODE, Stage.DECODE}
    least = need(descend(plan, Stage.DENOISE)[-1], Stage.DENOISE)
    taught = replace(no_experience(guess_rates(device)), too_much_bytes={Stage.DENOISE: least // 4})
    with pytest.raises(DoesNotFit, match="denoise"):
        decide(request, device, make_profile(), taught)
