"""The numbers of a frame, each against what its name means on pictures where one can count it by hand."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.seams.film import BLOCK_PIXELS
from pipeline.seams.trace import LUMA, detail, motion_residual, trace_frames
from tests.seams import field

Frame = NDArray[np.uint8]


def plain(*colour: int) -> Frame:
    return np.full((16, 24, 3), colour, np.uint8)


def noise(seed: int = 0, height: int = 64, width: int = 104) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)


def test_luma_is_bt601() -> None:
    trace = trace_frames([plain(255, 0, 0), plain(0, 255, 0), plain(0, 0, 255), plain(255, 255, 255)], matched=())
    assert trace.luma == pytest.approx([76.245, 149.685, 29.07, 255.0], abs=0.01)
    assert trace.colour.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]
    assert trace.saturation.tolist() == [255, 255, 255, 0]
    assert LUMA.sum() == pytest.approx(1)


def test_change_and_acceleration_are_those_of_the_frame_they_are_told_of() -> None:
    levels = [10, 10, 14, 20, 20]
    trace = trace_frames([plain(level, level, level) for level in levels], matched=())
    assert trace.frames == 5
    assert trace.change == pytest.approx([np.nan, 0, 4, 6, 0], nan_ok=True, abs=1e-4)
    assert trace.acceleration == pytest.approx([np.nan, 4, 2, 6, np.nan], nan_ok=True, abs=1e-4)


def test_contrast_is_the_standard_deviation_of_luma() -> None:
    halves = plain(100, 100, 100)
    halves[:, ::2] = 140
    assert trace_frames([halves], matched=()).contrast == pytest.approx([20], abs=1e-3)


def test_detail_is_the_mean_laplacian_of_inner_pixels() -> None:
    point = np.zeros((8, 8), np.float32)
    point[3, 4] = 9
    assert detail(point) == pytest.approx((4 * 9 + 4 * 9) / 36)
    slope = np.add.outer(np.arange(8), 3 * np.arange(8)).astype(np.float32)
    assert detail(slope) == pytest.approx(0)


def test_a_blend_of_two_pictures_has_less_detail_than_either() -> None:
    one, other = noise(1), noise(2)
    assert detail((one + other) / 2) < 0.8 * min(detail(one), detail(other))


@pytest.mark.parametrize("move", [(0, 0), (3, -2), (6, -6), (-6, 6)])
def test_motion_within_reach_leaves_no_residual(move: tuple[int, int]) -> None:
    before = noise()
    inner = slice(BLOCK_PIXELS, -BLOCK_PIXELS)  # at the border, part of what moved in was not there before
    after = np.roll(before, move, axis=(0, 1))
    around = before.copy()
    around[inner, inner] = after[inner, inner]
    blocks = (before.shape[0] // BLOCK_PIXELS - 2) * (before.shape[1] // BLOCK_PIXELS - 2)
    assert blocks > 50
    assert motion_residual(before, around) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("move", [(0, 7), (-7, 0)])
def test_motion_beyond_reach_is_not_explained(move: tuple[int, int]) -> None:
    before = noise()
    assert motion_residual(before, np.roll(before, move, axis=(0, 1))) > 30


def test_one_bad_block_counts_by_its_share() -> None:
    before = np.full((64, 104), 100, np.float32)
    after = before.copy()
    after[8:16, 16:24] = 152
    assert motion_residual(before, after) == pytest.approx(52 / (8 * 13))


def test_only_the_frames_asked_for_are_matched() -> None:
    trace = trace_frames(field.clean()[:12], matched={5, 9, 40})
    assert np.flatnonzero(~np.isnan(trace.residual)).tolist() == [5, 9]
    lumas = field.clean()[4:6].astype(np.float32) @ LUMA
    assert trace.residual[5] == pytest.approx(motion_residual(lumas[0], lumas[1]))


def test_frames_are_let_go_while_the_film_goes_on() -> None:
    frame_bytes = 120 * 208 * 3
    frames = (np.full((120, 208, 3), index % 256, np.uint8) for index in range(400))
    tracemalloc.start()
    try:
        assert trace_frames(frames, matched=()).frames == 400
        assert tracemalloc.get_traced_memory()[1] < 60 * frame_bytes  # a dozen at work, as float32
    finally:
        tracemalloc.stop()
