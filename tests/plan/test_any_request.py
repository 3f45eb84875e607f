"""What must hold of every plan, whatever is asked on whatever machine: thousands of requests drawn at random."""

from dataclasses import replace
from functools import cache
from itertools import islice, repeat
from random import Random

import pytest

from pipeline.errors import DoesNotFit, InvalidRequest
from pipeline.plan.alternatives import (
    MOST_CHANGES,
    SLOW_SECONDS,
    WORTHWHILE_CHUNKS,
    ChangeKind,
    offer_faster,
    plan_draft,
)
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Stage, Workload, on_card, placed_bytes
from pipeline.plan.planner import budget_for, decide
from tests.plan.random_requests import Case, draw_case

CASES = 1000
REFUSED_CASES = 100  # each is tried again with every change
CHUNKED_CASES = 50  # of many tokens, and as many of any; each that is slow is tried again in every length of chunk
MANY_TOKENS = 25_000  # in a chunk, from which on shorter ones may pay


@cache
def cases(seed: int, count: int) -> tuple[Case, ...]:
    random = Random(seed)
    return tuple(draw_case(random) for _ in range(count))


def plan_of(case: Case) -> DraftPlan | None:
    """None where it does not fit."""
    try:
        return decide(case.request, case.device, case.profile)
    except DoesNotFit:
        return None


@cache
def plans() -> tuple[tuple[Case, DraftPlan], ...]:
    """Every case of the first seed that fits."""
    return tuple((case, plan) for case in cases(1, CASES) if (plan := plan_of(case)))


def test_random_requests_are_neither_all_possible_nor_all_impossible() -> None:
    assert CASES / 4 < len(plans()) < 3 * CASES / 4
    kinds = {plan.memory.device.kind for _, plan in plans()}
    assert kinds == {DeviceKind.CPU, DeviceKind.CUDA}
    assert {choice.placement for _, plan in plans() for choice in plan.memory.choices.values()} >= {
        Placement.VISITING,
        Placement.STREAMED,
    }


@pytest.mark.fault(31)
def test_no_plan_exceeds_its_budgets_and_no_budget_what_is_free() -> None:
    for case, plan in plans():
        budget, device = plan.memory.budget, case.device
        assert budget == budget_for(case.request, device, case.profile)
        assert plan.memory.peak_bytes <= budget.card_bytes
        assert plan.memory.ram_bytes <= budget.ram_bytes <= device.ram_free_bytes
        assert plan.memory.disk_bytes <= budget.disk_bytes < device.disk_free_bytes
        free = device.free_bytes if device.kind is DeviceKind.CUDA else device.ram_free_bytes
        assert budget.card_bytes <= free


def test_no_stage_is_promised_less_than_its_weights_and_what_is_live() -> None:
    for case, plan in plans():
        spec, memory = plan.spec, plan.memory
        decode = memory.choices[Stage.DECODE]
        load = Workload(
            spec=spec,
            shape=case.request.shape,
            chunk_latents=max(chunk.latents for chunk in plan.chunks),
            guided=plan.guided,
            continued=len(plan.chunks) > 1,
            window_latents=max(piece.stop - piece.start for piece in plan.slices),
            tile_pixels=decode.tile_pixels,
            together=memory.choices[Stage.DENOISE].together,
        )
        for stage, network in ((Stage.DENOISE, spec.transformer), (Stage.DECODE, spec.vae)):
            choice = memory.choices[stage]
            passes = {(chunk.latents, chunk.blocks) for chunk in plan.chunks}
            each = [replace(load, chunk_latents=latents, blocks=blocks) for latents, blocks in passes]
            live = max(part.live_bytes(stage, case.device) for part in each)
            held = placed_bytes(network, choice.precision, choice.placement) + live
            assert choice.card_bytes >= on_card(case.device, held)


def test_the_same_arguments_give_an_equal_plan() -> None:
    for case, plan in plans():
        assert decide(case.request, case.device, case.profile) == plan


def test_every_plan_makes_exactly_the_frames_that_were_asked_for() -> None:
    for case, plan in plans():
        shown = [n for piece in plan.slices for n in range(piece.first_frame, piece.first_frame + piece.frames)]
        assert shown == list(range(case.request.frames))
        assert plan.spec.frames_of(plan.latents) == case.request.frames


def test_a_forecast_adds_up_and_shows_the_first_slice_no_later_than_the_end() -> None:
    for _, plan in plans():
        forecast = plan.forecast
        assert 0 < forecast.first_slice_seconds <= forecast.total_seconds * (1 + 1e-9)
        assert abs(sum(forecast.stage_seconds.values()) - forecast.total_seconds) < 1e-6 * forecast.total_seconds
        assert forecast.low_seconds < forecast.total_seconds < forecast.high_seconds


def test_more_memory_never_gives_more_chunks_and_never_a_slower_draft_of_the_same_chunks() -> None:
    random = Random(3)
    for case, plan in plans():
        more = plan_of(case.with_more(card=random.uniform(1, 4), ram=random.uniform(1, 4)))
        assert more, "what fitted no longer does"
        assert len(more.chunks) <= len(plan.chunks)
        if more.chunks == plan.chunks:
            assert more.forecast.total_seconds <= plan.forecast.total_seconds * (1 + 1e-9)


def has_many_tokens(case: Case) -> bool:
    """Whether attention is a large part of the work when the draft is cut as little as its model allows."""
    spec, request = case.request.spec, case.request
    latents = spec.latents_of(min(request.frames, spec.native_frames))
    return spec.tokens_of(request.shape, latents) > MANY_TOKENS


def plans_in_more_chunks(case: Case, plan: DraftPlan) -> list[DraftPlan]:
    """Every length of chunk that may be asked for, the longest first; such as cut the draft finer than `plan`."""
    spec, found = plan.spec, []
    for latents in range(spec.latents_of(spec.native_frames), 0, -1):
        try:
            request = replace(case.request, chunk_frames=spec.frames_of(latents))
        except InvalidRequest:
            continue
        again = plan_of(replace(case, request=request))
        if again and len(again.chunks) > len(plan.chunks):
            found.append(again)
    return found


def test_the_fewest_chunks_that_save_enough_of_a_slow_plan_are_offered_and_fit() -> None:
    random, offered = Random(4), 0
    heavy = islice(filter(has_many_tokens, map(draw_case, repeat(random))), CHUNKED_CASES)
    for case in (*cases(1, CHUNKED_CASES), *heavy):
        plan = plan_of(case)
        if not plan:
            continue
        seconds = plan.forecast.total_seconds
        changes = {change.kind: change for change in offer_faster(plan, case.profile)}
        if seconds < SLOW_SECONDS:
            assert not changes
            continue
        finer = plans_in_more_chunks(case, plan)
        enough = [again for again in finer if again.forecast.total_seconds <= WORTHWHILE_CHUNKS * seconds]
        if not enough:
            assert ChangeKind.CHUNKS not in changes
            continue
        offered += 1
        change = changes[ChangeKind.CHUNKS]
        assert len(change.plan.chunks) == min(len(again.chunks) for again in enough)
        assert change.plan.forecast.total_seconds <= WORTHWHILE_CHUNKS * seconds
        assert change.request == replace(case.request, chunk_frames=change.request.chunk_frames)
        assert plan_of(replace(case, request=change.request)) == change.plan
    assert offered > CHUNKED_CASES / 100


def test_what_does_not_fit_is_refused_with_changes_that_do() -> None:
    kinds, refused = list(ChangeKind), 0
    for case in cases(2, REFUSED_CASES):
        if plan_of(case):
            continue
        refused += 1
        error = refusal_of(case)
        assert error.need_bytes > error.budget_bytes
        assert len(error.changes) <= MOST_CHANGES
        order = [kinds.index(change.kind) for change in error.changes]
        assert kinds.index(ChangeKind.CHUNKS) not in order  # the planner tried them
        assert order == sorted(set(order))
        for change in error.changes:
            assert change.request != case.request
            assert plan_of(replace(case, request=change.request)) == change.plan
        assert error.hint
        assert not error.changes or error.changes[0].name in error.hint
    assert refused > REFUSED_CASES / 4


def refusal_of(case: Case) -> DoesNotFit:
    """The error a person would see."""
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(case.request, case.device, case.profile)
    return refusal.value
