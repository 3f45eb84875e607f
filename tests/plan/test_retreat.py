"""What is left where memory ran out: the same draft, held in less at once, as far down as there is a way."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from pipeline.errors import DoesNotFit
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import ANYFLOW_1_3B, LTX_13B, MINIATURE, WAN_A14B
from pipeline.plan.cutting import least_latents
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage, weight_bytes
from pipeline.plan.planner import decide
from pipeline.plan.retreat import exhausted, retreat
from pipeline.plan.spec import ModelSpec
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker
from tests.plan.random_requests import draw_case

CASES = 400


def descend(plan: DraftPlan, stage: Stage, **done: int) -> list[DraftPlan]:
    plans = [plan]
    while (lower := retreat(plans[-1], stage, **done)) is not None:
        plans.append(lower)
        assert len(plans) < 50
    return plans


def need(plan: DraftPlan, stage: Stage) -> int:
    return plan.memory.choices[stage].card_bytes


@cache
def begun() -> tuple[tuple[DraftPlan, int, int], ...]:
    """Plans of random requests on random machines, with how many chunks and slices of each are finished."""
    random, found = Random(5), []
    for _ in range(CASES):
        case = draw_case(random)
        try:
            plan = decide(case.request, case.device, case.profile)
        except DoesNotFit:
            continue
        chunks = random.randrange(len(plan.chunks))
        ready = sum(piece.chunk < chunks for piece in plan.slices)
        found.append((plan, chunks, random.randint(0, ready)))
    assert len(found) > CASES / 4
    return tuple(found)


def ladders() -> Iterator[tuple[Stage, int, int, list[DraftPlan]]]:
    for plan, chunks, slices in begun():
        for stage in Stage:
            yield stage, chunks, slices, descend(plan, stage, chunks_done=chunks, slices_done=slices)


# Any draft, anywhere ------------------------------------------------------------------------------------------------
def test_every_ladder_ends_and_each_rung_needs_less_than_the_one_before() -> None:
    reached = 0
    for stage, _, _, plans in ladders():
        needs = [need(plan, stage) for plan in plans]
        first = 2 if len(plans) > 1 and "text encoder leaves" in plans[1].reasons[0] and stage is Stage.ENCODE else 1
        assert all(lower < higher for higher, lower in pairwise(needs[first - 1 :]))
        assert all(plan.memory.choices[stage].ram_bytes <= plan.memory.budget.ram_bytes for plan in plans[1:])
        reached += len(plans) - 1
    assert reached > 3 * len(begun())


def test_a_draft_that_retreats_keeps_what_is_finished_and_has_the_frames_that_were_asked_for() -> None:
    shortened = windows = 0
    for _, chunks, slices, plans in ladders():
        first, spec = plans[0], plans[0].spec
        for plan in plans[1:]:
            assert plan.request == first.request
            assert plan.chunks[:chunks] == first.chunks[:chunks]
            assert plan.slices[:slices] == first.slices[:slices]
            assert [chunk.index for chunk in plan.chunks] == list(range(len(plan.chunks)))
            assert [piece.index for piece in plan.slices] == list(range(len(plan.slices)))
            added = [(chunk.start + chunk.overlap, chunk.stop) for chunk in plan.chunks]
            assert [start for start, _ in added] == [0, *(stop for _, stop in added[:-1])]
            assert added[-1][1] == first.latents == spec.latents_of(first.request.frames)
            assert all(stop > start for start, stop in added)
            assert [piece.first_frame for piece in plan.slices[1:]] == [
                piece.first_frame + piece.frames for piece in plan.slices[:-1]
            ]
            assert sum(piece.frames for piece in plan.slices) == first.request.frames
            for before, piece in pairwise(plan.slices):
                assert piece.fade == before.hold
                assert piece.start < before.stop or spec.causal_decoder
            assert all(piece.stop <= plan.chunks[piece.chunk].stop for piece in plan.slices)
            shortened += plan.chunks != first.chunks
            windows += any(
                one.stop - one.start != other.stop - other.start
                for one, other in zip(plan.slices, first.slices, strict=False)
            )
            assert DraftPlan.from_json(json.dumps(plan.to_json())) == plan
    assert shortened > 50
    assert windows > 50


def test_no_two_chunks_of_a_draft_begin_with_the_same_noise() -> None:
    for _, _, _, plans in ladders():
        seeds = [chunk.seed for chunk in plans[-1].chunks]
        assert len(set(seeds)) == len(seeds)


def test_chunks_become_as_short_as_they_can_before_weights_become_coarser() -> None:
    coarser = 0
    for plan, chunks, slices in begun():
        plans = descend(plan, Stage.DENOISE, chunks_done=chunks, slices_done=slices)
        for higher, lower in pairwise(plans):
            before, after = (max(chunk.latents for chunk in p.chunks[chunks:]) for p in (higher, lower))
            assert after <= before
            if lower.memory.choices[Stage.DENOISE].precision != higher.memory.choices[Stage.DENOISE].precision:
                assert before == after
                # a draft in one chunk may have nothing to win: a second one is given latents, which takes memory, too
                assert after <= least_latents(plan.request) or not chunks
                coarser += 1
            else:
                assert (
                    lower.chunks == higher.chunks
                    or f"chunks of {plan.spec.frames_of(after)} frames" in (lower.reasons[0])
                )
    assert coarser > 20


# One by one ---------------------------------------------------------------------------------------------------------


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
