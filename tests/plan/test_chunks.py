"""Every frame is made exactly once, by windows no longer than allowed, and nothing is decoded before it exists."""

from itertools import pairwise, product

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.chunks import FADED_LATENTS, SHARED_LATENTS, Chunk, Seam, Slice, plan_chunks, plan_seams, plan_slices

STRIDE = 8
TIMELINES = [
    (latents, longest, overlap)
    for latents, longest, overlap in product(range(1, 41), range(2, 17), range(1, 9))
    if longest > overlap
]
LONG_TIMELINES = [(181, 7, 3), (181, 16, 3), (181, 2, 1), (1000, 16, 7)]


def cut(latents: int, longest: int, overlap: int, seed: int = 0) -> tuple[Chunk, ...]:
    return plan_chunks(latents, longest=longest, overlap=overlap, seed=seed, shot_stops=(latents,))


def all_slices() -> list[tuple[int, int, tuple[Chunk, ...], tuple[Slice, ...]]]:
    cases = []
    for latents, longest, overlap in TIMELINES + LONG_TIMELINES:
        chunks = cut(latents, longest, overlap)
        for window in {SHARED_LATENTS + 1, 6, 8, latents}:
            if window > SHARED_LATENTS or window >= latents:
                cases.append((latents, window, chunks, plan_slices(chunks, window=window, stride=STRIDE)))
    return cases


SLICES = all_slices()


def test_chunks_add_every_latent_exactly_once_and_in_order() -> None:
    for latents, longest, overlap in TIMELINES + LONG_TIMELINES:
        added = [n for chunk in cut(latents, longest, overlap) for n in range(chunk.start + chunk.overlap, chunk.stop)]
        assert added == list(range(latents)), (latents, longest, overlap)


def test_no_chunk_is_longer_than_allowed_or_adds_nothing() -> None:
    for case in TIMELINES + LONG_TIMELINES:
        for chunk in cut(*case):
            assert chunk.latents <= case[1], case
            assert chunk.new_latents >= 1, case


def test_chunk_lengths_differ_by_at_most_one() -> None:
    for case in TIMELINES + LONG_TIMELINES:
        lengths = [chunk.latents for chunk in cut(*case)]
        assert max(lengths) - min(lengths) <= 1, case


def test_there_are_as_few_chunks_as_the_longest_allows() -> None:
    for latents, longest, overlap in TIMELINES + LONG_TIMELINES:
        fewer = len(cut(latents, longest, overlap)) - 1
        assert fewer == 0 or longest + (fewer - 1) * (longest - overlap) < latents, (latents, longest, overlap)


def test_every_chunk_but_the_first_is_given_the_tail_of_the_one_before() -> None:
    for latents, longest, overlap in TIMELINES + LONG_TIMELINES:
        chunks = cut(latents, longest, overlap)
        assert chunks[0].overlap == 0
        for before, chunk in pairwise(chunks):
            assert chunk.overlap == overlap
            assert chunk.start + chunk.overlap == before.stop


def test_a_draft_within_the_longest_window_is_one_chunk() -> None:
    assert [(c.start, c.stop, c.overlap) for c in cut(7, 7, 3)] == [(0, 7, 0)]


def test_the_picture_in_the_docstring_is_what_comes_out() -> None:
    chunks = cut(13, 7, 3)
    assert [(c.start, c.stop, c.overlap) for c in chunks] == [(0, 7, 0), (4, 10, 3), (7, 13, 3)]
    slices = plan_slices(chunks, window=8, stride=STRIDE)
    assert [(s.start, s.stop) for s in slices] == [(0, 7), (4, 10), (7, 13)]


def test_seeds_count_up_and_wrap_round() -> None:
    assert [chunk.seed for chunk in cut(20, 7, 3, seed=2**32 - 2)][:4] == [2**32 - 2, 2**32 - 1, 0, 1]


def test_a_chunk_belongs_to_the_shot_in_which_most_of_what_it_adds_lies() -> None:
    chunks = plan_chunks(30, longest=7, overlap=3, seed=0, shot_stops=(10, 20, 30))
    shots = [chunk.shot for chunk in chunks]
    assert shots == sorted(shots)
    assert set(shots) == {0, 1, 2}
    for chunk in chunks:
        middle = (chunk.start + chunk.overlap + chunk.stop) / 2
        assert chunk.shot * 10 <= middle <= (chunk.shot + 1) * 10


def test_an_overlap_that_leaves_nothing_new_is_refused_with_the_most_that_works() -> None:
    with pytest.raises(InvalidRequest, match=r"overlap of 7 latents.*at most 6") as refusal:
        cut(20, 7, 7)
    assert refusal.value.field == "overlap_frames"


def test_slices_cover_every_frame_exactly_once_and_in_order() -> None:
    for latents, window, _, slices in SLICES:
        frames = [n for piece in slices for n in range(piece.first_frame, piece.first_frame + piece.frames)]
        assert frames == list(range((latents - 1) * STRIDE + 1)), (latents, window)


def test_every_slice_shows_something_new() -> None:
    assert all(piece.frames >= 1 for *_, slices in SLICES for piece in slices)


def test_no_slice_needs_latents_that_its_chunk_has_not_made() -> None:
    for latents, window, chunks, slices in SLICES:
        assert all(piece.stop <= chunks[piece.chunk].stop for piece in slices), (latents, window)
        assert [piece.chunk for piece in slices] == sorted(piece.chunk for piece in slices)


def test_no_slice_decodes_more_than_a_window() -> None:
    assert all(piece.stop - piece.start <= window for _, window, _, slices in SLICES for piece in slices)


def test_neighbouring_windows_share_the_warm_up_and_the_fade() -> None:
    for *_, slices in SLICES:
        for before, piece in pairwise(slices):
            assert before.stop - piece.start == SHARED_LATENTS


def test_what_is_held_back_is_what_the_next_slice_fades_over() -> None:
    for *_, slices in SLICES:
        assert slices[0].fade == slices[0].skip == 0
        assert slices[-1].hold == 0
        for before, piece in pairwise(slices):
            assert before.hold == piece.fade == FADED_LATENTS * STRIDE
            # The frame after what was held back is the frame after what is faded, on the draft's own clock.
            assert before.first_frame + before.frames == piece.first_frame == piece.start * STRIDE + piece.skip


def test_decoded_frames_are_dropped_shown_or_held_back() -> None:
    for *_, slices in SLICES:
        for piece in slices:
            decoded = (piece.stop - piece.start - 1) * STRIDE + 1
            assert piece.skip + piece.frames + piece.hold == decoded


def test_slices_come_as_early_as_the_chunks_allow() -> None:
    """When a chunk is done, no further window fits into what exists (or the whole draft is out)."""
    for latents, window, chunks, slices in SLICES:
        for chunk in chunks:
            reached = max((piece.stop for piece in slices if piece.chunk <= chunk.index), default=0)
            assert reached == chunk.stop or (chunk.stop <= SHARED_LATENTS and reached == 0), (latents, window)


def causal_slices() -> list[tuple[int, int, tuple[Chunk, ...], tuple[Slice, ...]]]:
    return [
        (latents, window, chunks, plan_slices(chunks, window=window, stride=4, causal=True))
        for latents, longest, overlap in TIMELINES + LONG_TIMELINES
        for chunks in (cut(latents, longest, overlap),)
        for window in {1, 4, 6, latents}
    ]


def test_a_decoder_that_remembers_covers_the_draft_once_and_shares_no_latent() -> None:
    for latents, window, chunks, slices in causal_slices():
        assert [n for piece in slices for n in range(piece.start, piece.stop)] == list(range(latents))
        frames = [n for piece in slices for n in range(piece.first_frame, piece.first_frame + piece.frames)]
        assert frames == list(range((latents - 1) * 4 + 1)), (latents, window)
        for piece in slices:
            assert (piece.skip, piece.fade, piece.hold) == (0, 0, 0)
            assert 1 <= piece.stop - piece.start <= window
            assert piece.stop <= chunks[piece.chunk].stop


def test_a_decoder_that_remembers_shows_everything_a_chunk_has_made() -> None:
    for *_, chunks, slices in causal_slices():
        for chunk in chunks:
            assert max(piece.stop for piece in slices if piece.chunk <= chunk.index) == chunk.stop
        assert [piece.index for piece in slices] == list(range(len(slices)))


def test_a_window_that_could_never_reach_the_end_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        plan_slices(cut(10, 7, 3), window=SHARED_LATENTS, stride=STRIDE)


# Seams --------------------------------------------------------------------------------------------------------------
def test_the_seams_of_the_picture_in_the_docstring() -> None:
    chunks = cut(10, 7, 3)
    slices = plan_slices(chunks, window=7, stride=STRIDE)
    assert plan_seams(chunks, slices, stride=STRIDE) == (Seam(frame=49, faded_frames=8),)
    assert plan_seams(cut(7, 7, 3), slices[:1], stride=STRIDE) == ()


def test_a_seam_is_where_the_chunk_before_has_no_more_frames() -> None:
    for _, _, chunks, slices in SLICES:
        ends = [(chunk.stop - 1) * STRIDE + 1 for chunk in chunks[:-1]]
        assert [seam.frame for seam in plan_seams(chunks, slices, stride=STRIDE)] == ends


def test_what_is_faded_before_a_seam_is_what_was_held_back_there() -> None:
    """Frame by frame: before a seam lies the fade of the slice that goes on from the chunk before, or none."""
    faded = 0
    for _, _, chunks, slices in SLICES:
        blended = {frame for piece in slices for frame in range(piece.first_frame, piece.first_frame + piece.fade)}
        for seam in plan_seams(chunks, slices, stride=STRIDE):
            assert seam.faded_frames in (0, FADED_LATENTS * STRIDE)
            assert {seam.frame - 1 - back for back in range(seam.faded_frames)} <= blended
            faded += seam.faded_frames > 0
    assert faded > 1000


def test_a_decoder_that_remembers_fades_nothing() -> None:
    for _, _, chunks, slices in causal_slices():
        assert all(seam.faded_frames == 0 for seam in plan_seams(chunks, slices, stride=4))
