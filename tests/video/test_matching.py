"""A step in colour becomes a slope: measured where the check measures it, and nothing before a seam is touched."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.plan.chunks import Seam, Slice
from pipeline.seams.metrics import Metric, measure_seam
from pipeline.seams.trace import trace_frames
from pipeline.video.matching import ColourMatcher, colour_step, mean_colours

SEAM, FRAMES, HELD = 17, 57, 8
STEP = np.array([4.0, -2.0, 6.0])
SEAMS = (Seam(frame=SEAM, faded_frames=0),)


def clip(step: NDArray[np.float64] = STEP, seed: int = 0) -> NDArray[np.uint8]:
    """A still, textured picture that steps at the seam."""
    still = np.random.default_rng(seed).uniform(60, 190, (1, 32, 48, 3))
    frames = np.repeat(still, FRAMES, axis=0)
    frames[SEAM:] += step
    return np.rint(frames).astype(np.uint8)


def piece(**fields: int) -> Slice:
    given = {"skip": 0, "fade": 0, "hold": 0, "first_frame": 0, "start": 3, "stop": 9}
    frames = FRAMES - fields.get("skip", 0) - fields.get("hold", 0)
    return Slice(index=1, chunk=1, frames=frames, **(given | fields))


def mean(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(frames.mean(axis=(1, 2)))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (160, 256), (1, 2000)])
def test_mean_colours_are_means(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    frames[0] = 255
    assert mean_colours(frames) == pytest.approx(mean(frames))


def test_the_check_finds_the_step_before_and_not_after() -> None:
    frames = clip()
    matched = ColourMatcher(1.0).match(frames, piece(), SEAMS)
    before, after = (
        measure_seam(trace_frames(iter(part), matched=frozenset(range(FRAMES))), SEAMS[0])[Metric.CS]
        for part in (frames, matched)
    )
    assert before > 4
    assert abs(after) < 0.7
    assert (matched[:SEAM] == frames[:SEAM]).all()
    assert np.abs(mean(matched)[-1] - mean(frames)[-1]).max() < 0.1
    assert np.abs(np.diff(mean(matched), axis=0)).max() <= 1  # a level at a time


def test_a_factor_takes_its_share_and_none_takes_nothing() -> None:
    frames = clip()
    half = ColourMatcher(0.5).match(frames, piece(), SEAMS)
    np.testing.assert_allclose(mean(half)[SEAM] - mean(half)[SEAM - 1], STEP / 2, atol=0.15)
    assert ColourMatcher(0.0).match(frames, piece(), SEAMS) is frames


def test_what_is_held_back_for_the_next_slice_and_a_slice_without_a_seam_stay() -> None:
    frames = clip()
    matched = ColourMatcher(1.0).match(frames, piece(hold=HELD), SEAMS)
    assert (matched[-HELD:] == frames[-HELD:]).all()
    assert not (matched[SEAM] == frames[SEAM]).all()
    assert (ColourMatcher(1.0).match(frames, piece(), ()) == frames).all()


def test_a_seam_is_found_behind_what_a_slice_drops() -> None:
    frames = clip()
    placed = piece(skip=9, first_frame=100)
    seam = Seam(frame=100 + SEAM - 9, faded_frames=8)
    matched = ColourMatcher(1.0).match(frames, placed, (Seam(frame=40, faded_frames=0), seam))
    assert (matched == ColourMatcher(1.0).match(frames, piece(), SEAMS)).all()


def test_a_decoder_that_shows_no_frame_twice_is_compared_with_the_slice_before() -> None:
    frames, matcher = clip(), ColourMatcher(1.0)
    first = matcher.match(frames[:SEAM], piece(start=0, stop=3), SEAMS)
    second = matcher.match(frames[SEAM:], piece(first_frame=SEAM), SEAMS)
    assert (np.concatenate([first, second]) == ColourMatcher(1.0).match(frames, piece(), SEAMS)).all()


def test_what_comes_before_a_cut_is_forgotten() -> None:
    matcher, frames = ColourMatcher(1.0), clip()
    matcher.match(frames[:SEAM], piece(start=0, stop=3), ())
    opening = Slice(
        index=1, chunk=1, start=5, stop=9, skip=0, fade=0, hold=0, first_frame=0, frames=FRAMES - SEAM, scene_start=5
    )
    assert (matcher.match(frames[SEAM:], opening, (Seam(frame=0, faded_frames=0),)) == frames[SEAM:]).all()


@pytest.mark.parametrize("slope", [0.0, 0.4])
def test_a_scene_may_brighten_by_itself(slope: float) -> None:
    ramp = np.arange(FRAMES)[:, None] * slope * np.ones(3)
    np.testing.assert_allclose(colour_step(ramp, SEAM), 0, atol=1e-9)
    ramp[SEAM:] += STEP
    np.testing.assert_allclose(colour_step(ramp, SEAM), STEP, atol=1e-9)


@pytest.mark.parametrize("frame", [0, 3, FRAMES - 3, FRAMES])
def test_too_near_an_end_nothing_is_a_step(frame: int) -> None:
    assert (colour_step(mean(clip()), frame) == 0).all()
