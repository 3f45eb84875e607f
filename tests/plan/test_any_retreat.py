"""What must hold of every way down, from any plan on any machine: thousands of rungs of drafts drawn at random."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random

import pytest

from pipeline.errors import DoesNotFit
from pipeline.plan.cutting import least_latents
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.planner import decide
from tests.plan.descent import descend, need
from tests.plan.random_requests import draw_case

CASES = 150


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


@pytest.mark.fault(1)
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
                least = max(
                    least_latents(plan.request), *(1 + c.new_latents for c in lower.chunks[chunks:] if c.blocks), 0
                )
                assert after <= least or not chunks
                coarser += 1
            else:
                assert (
                    lower.chunks == higher.chunks
                    or f"chunks of {plan.spec.frames_of(after)} frames" in (lower.reasons[0])
                )
    assert coarser > 20
