"""Shorter chunks of what is left: the same timeline, from the finished chunks on, each long enough to add something."""

from itertools import pairwise

import pytest

from pipeline.plan.chunks import Chunk, plan_chunks, plan_rollout
from pipeline.plan.recutting import recut

OVERLAP = 3


def cut(latents: int, longest: int) -> tuple[Chunk, ...]:
    return plan_chunks(latents, longest=longest, overlap=OVERLAP, seed=7, shot_stops=(latents // 2, latents))


@pytest.mark.parametrize("longest", range(OVERLAP + 1, 16))
@pytest.mark.parametrize("done", [0, 1, 2])
def test_what_is_left_is_cut_to_length_and_ends_where_it_ended(longest: int, done: int) -> None:
    chunks = cut(40, 16)
    shorter = recut(chunks, done, longest=longest, overlap=OVERLAP, seed=7)
    assert shorter[:done] == chunks[:done]
    assert max(chunk.latents for chunk in shorter[done:]) <= longest
    assert [chunk.index for chunk in shorter] == list(range(len(shorter)))
    assert shorter[-1].stop == 40
    for before, chunk in pairwise(shorter):
        assert (chunk.start, chunk.overlap) == (before.stop - OVERLAP, OVERLAP)
        assert chunk.new_latents > 0
    ends = {chunk.stop: (chunk.seed, chunk.shot) for chunk in chunks}
    assert set(ends) <= {chunk.stop for chunk in shorter}  # no piece lies in two of the chunks
    assert [chunk.shot for chunk in shorter] == sorted(chunk.shot for chunk in shorter)
    assert len({chunk.seed for chunk in shorter}) == len(shorter)


def test_pieces_are_of_nearly_equal_length() -> None:
    lengths = [chunk.latents for chunk in recut(cut(16, 16), 0, longest=9, overlap=OVERLAP, seed=7)]
    assert lengths == [8, 7, 7]


@pytest.mark.parametrize("longest", [1, OVERLAP])
def test_chunks_that_would_add_nothing_are_not_made(longest: int) -> None:
    chunks = cut(40, 16)
    assert recut(chunks, 0, longest=longest, overlap=OVERLAP, seed=7) == chunks
    assert recut(chunks, 0, longest=16, overlap=OVERLAP, seed=7) == chunks


def test_a_causal_model_s_blocks_stay_and_see_less() -> None:
    chunks = plan_rollout(31, longest=21, overlap=None, block=3, seed=7, shot_stops=(31,))
    less = recut(chunks, 3, longest=9, overlap=None, seed=7)
    assert less[:3] == chunks[:3]
    assert [(chunk.stop, chunk.blocks, chunk.seed) for chunk in less] == [(c.stop, c.blocks, c.seed) for c in chunks]
    assert {chunk.latents for chunk in less[3:]} == {9}
    least = recut(chunks, 0, longest=1, overlap=None, seed=7)
    assert {chunk.overlap for chunk in least} == {0, 1}
