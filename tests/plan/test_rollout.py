"""A causal model's chunks: its blocks, each with a window on what came before, every latent made exactly once."""

from itertools import product

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.chunks import Chunk, plan_rollout, plan_slices, split_given
from pipeline.plan.extending import extend_rollout


def roll(latents: int, longest: int, overlap: int | None = None, block: int = 3, seed: int = 0) -> tuple[Chunk, ...]:
    stops = (latents,)
    return plan_rollout(latents, longest=longest, overlap=overlap, block=block, seed=seed, shot_stops=stops)


ROLLOUTS = [
    (latents, longest, overlap, block)
    for latents, longest, block in product((*range(1, 31), 241), range(2, 22), range(1, 5))
    for overlap in (None, *range(1, longest - block + 1))
    if longest > block
]


def test_a_rollout_adds_every_latent_exactly_once_and_no_window_is_longer_than_allowed() -> None:
    for latents, longest, overlap, block in ROLLOUTS:
        chunks = roll(latents, longest, overlap, block)
        added = [n for chunk in chunks for n in range(chunk.start + chunk.overlap, chunk.stop)]
        assert added == list(range(latents)), (latents, longest, overlap, block)
        assert all(chunk.latents <= max(longest, block + 1) for chunk in chunks)


def test_a_rollout_adds_the_first_latent_alone_and_then_a_block_at_a_time() -> None:
    for latents, longest, overlap, block in ROLLOUTS:
        chunks = roll(latents, longest, overlap, block)
        for chunk in chunks:
            assert sum(chunk.blocks) == chunk.new_latents
            assert chunk.rounds == len(chunk.blocks)
        one, *blocks = [count for chunk in chunks for count in chunk.blocks]
        whole, rest = divmod(latents - 1, block)
        assert (one, sum(blocks), len(blocks)) == (1, latents - 1, whole + bool(rest))
        assert set(blocks[:-2]) <= {block}
        if whole:
            assert blocks[-2:] == sorted(blocks[-2:], reverse=True)
            assert 0 <= blocks[-2:][0] - blocks[-1] <= 1 or not rest
        for chunk in chunks[1:]:
            assert chunk.blocks == (block,) or chunk is chunks[-1] or len(chunk.blocks) == 1


def test_no_block_is_left_with_a_single_latent() -> None:
    for latents in range(3, 242):
        for longest in (21, 12, 7, 4):
            chunks = roll(latents, longest)
            assert min(count for chunk in chunks for count in (chunk.blocks[1:] or chunk.blocks)) >= 2
            last = chunks[-1].blocks
            short = (latents - 1) % 3 == 1
            assert (last[-2:] == (2, 2)) == (short and longest >= 7), (latents, longest)


def test_where_the_last_two_blocks_have_no_room_together_they_are_two_chunks() -> None:
    assert [(c.start, c.stop, c.blocks) for c in roll(11, 8)[-2:]] == [(0, 7, (3,)), (3, 11, (2, 2))]
    assert [(c.start, c.stop, c.blocks) for c in roll(11, 6)[-2:]] == [(3, 9, (2,)), (5, 11, (2,))]
    assert [(c.start, c.stop, c.blocks) for c in roll(8, 7, 4)[-2:]] == [(0, 6, (2,)), (2, 8, (2,))]


def test_a_chunk_of_a_rollout_is_given_all_there_is_room_for_or_what_was_asked_for() -> None:
    for latents, longest, overlap, block in ROLLOUTS:
        for chunk in roll(latents, longest, overlap, block):
            done = chunk.start + chunk.overlap
            assert chunk.overlap == min(done, longest - chunk.new_latents if overlap is None else overlap)


def test_the_picture_of_a_rollout_is_what_comes_out() -> None:
    chunks = roll(10, 21)
    assert [(c.start, c.stop, c.overlap) for c in chunks] == [(0, 4, 0), (0, 7, 4), (0, 10, 7)]
    assert [c.seed for c in roll(10, 21, seed=2**32 - 1)] == [2**32 - 1, 0, 1]


def test_a_window_moves_on_when_it_is_full() -> None:
    assert [(c.start, c.stop) for c in roll(27, 21)[-4:]] == [(0, 19), (1, 22), (4, 25), (6, 27)]
    assert [(c.start, c.stop) for c in roll(11, 7)] == [(0, 4), (0, 7), (4, 11)]


@pytest.mark.parametrize(("longest", "overlap", "field"), [(3, None, "chunk_frames"), (7, 5, "overlap_frames")])
def test_a_window_without_room_for_a_block_is_refused(longest: int, overlap: int | None, field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"at least {longest + 1}") as refusal:
        roll(20, longest, overlap)
    assert refusal.value.field == field


def test_every_chunk_of_a_rollout_can_be_played_when_it_is_made() -> None:
    for case in ROLLOUTS:
        chunks = roll(*case)
        slices = plan_slices(chunks, window=4, stride=4, causal=True)
        assert sum(piece.frames for piece in slices) == (case[0] - 1) * 4 + 1
        for chunk in chunks:
            assert max(piece.stop for piece in slices if piece.chunk == chunk.index) == chunk.stop


@pytest.mark.parametrize(
    ("latents", "blocks"),
    [(0, ()), (1, (1,)), (2, (2,)), (3, (3,)), (4, (1, 3)), (7, (1, 3, 3)), (18, (3,) * 6), (20, (2, *(3,) * 6))],
)
def test_what_is_given_is_seen_in_blocks_of_which_only_the_first_may_be_incomplete(
    latents: int, blocks: tuple[int, ...]
) -> None:
    assert split_given(latents, 3) == blocks


def test_what_was_made_block_by_block_is_seen_in_the_same_blocks() -> None:
    """As long as the window begins with the draft: then nothing that was read has to be read otherwise."""
    made: tuple[int, ...] = ()
    for chunk in roll(21, 21):
        assert split_given(chunk.overlap, 3) == made
        made += chunk.blocks


def test_what_is_added_later_ends_without_a_single_latent_where_more_than_one_is_added() -> None:
    for total, added in product((2, 4, 7, 8, 9, 21), range(1, 15)):
        before = roll(total, 21)
        after = extend_rollout(before, total + added, longest=21, overlap=None, block=3, shot=0)
        assert after[: len(before)] == before
        new = [n for chunk in after for n in range(chunk.start + chunk.overlap, chunk.stop)]
        assert new == list(range(total + added))
        blocks = [count for chunk in after[len(before) :] for count in chunk.blocks]
        assert min(blocks) == min(2, added) or min(blocks) == 3
        assert max(chunk.latents for chunk in after) <= 21
