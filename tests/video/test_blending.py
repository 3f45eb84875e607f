"""Joining neighbouring pieces loses no frame, doubles none and changes nothing where both sides agree."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.plan.chunks import plan_chunks, plan_slices
from pipeline.video.blending import Crossfader, sigmoid_ramp

Frames = NDArray[np.uint8]


def clip(*values: int) -> Frames:
    """One 2x2 frame of each value."""
    return np.repeat(np.array(values, np.uint8), 12).reshape(-1, 2, 2, 3)


def values(frames: Frames) -> list[int]:
    return [int(value) for value in frames[:, 0, 0, 0]]


@pytest.mark.parametrize("frames", [1, 2, 8, 16])
def test_the_weights_of_both_sides_sum_to_one_and_mirror_each_other(frames: int) -> None:
    new = sigmoid_ramp(frames)
    old = 1 - new
    assert new.dtype == np.float32
    np.testing.assert_allclose(new + old, 1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(old, new[::-1], rtol=0, atol=1e-6)


def test_the_ramp_rises_and_fades_at_both_ends() -> None:
    ramp = sigmoid_ramp(16)
    assert (np.diff(ramp) > 0).all()
    assert 0 < ramp[0] < 0.02
    assert 0.98 < ramp[-1] < 1


def test_what_both_sides_agree_on_is_unchanged() -> None:
    fader = Crossfader()
    out = [fader.push(clip(*[77] * 9), fade=0, hold=4), fader.push(clip(*[77] * 8), fade=4, hold=0)]
    assert values(np.concatenate(out)) == [77] * 13


def test_an_overlap_goes_from_the_old_to_the_new() -> None:
    fader = Crossfader()
    fader.push(clip(0, 0, 0, 0), fade=0, hold=3)
    faded = values(fader.push(clip(200, 200, 200, 200), fade=3, hold=0))
    assert faded == sorted(faded)
    assert 0 < faded[0] < 50
    assert faded[1] == 100
    assert 150 < faded[2] < faded[3] == 200


@pytest.mark.parametrize(("latents", "longest", "overlap", "window"), [(13, 7, 3, 8), (7, 7, 3, 4), (9, 4, 3, 8)])
def test_no_frame_is_lost_or_doubled_along_a_whole_draft(latents: int, longest: int, overlap: int, window: int) -> None:
    chunks = plan_chunks(latents, longest=longest, overlap=overlap, seed=0, shot_stops=(latents,))
    fader, out = Crossfader(), list[int]()
    for piece in plan_slices(chunks, window=window, stride=8):
        first = 8 * piece.start - 7 if piece.start else 0  # a latent stands for 8 frames, the first of a draft for one
        shown = np.arange(first + 7 if piece.start else 0, 8 * (piece.stop - 1) + 1)  # a window begins with one frame
        frames = fader.push(clip(*shown)[piece.skip :], fade=piece.fade, hold=piece.hold)
        assert len(frames) == piece.frames
        out += values(frames)
    assert out == list(range(8 * (latents - 1) + 1))
    assert fader.flush() is None


def test_what_is_held_back_comes_out_once_when_nothing_follows() -> None:
    fader = Crossfader()
    assert values(fader.push(clip(1, 2, 3, 4, 5), fade=0, hold=2)) == [1, 2, 3]
    held = fader.flush()
    assert held is not None
    assert values(held) == [4, 5]
    assert fader.flush() is None


@pytest.mark.parametrize(("fade", "hold"), [(0, 0), (3, 0), (2, 6)], ids=["none", "too long", "holds too much"])
def test_a_wrong_fade_is_refused(fade: int, hold: int) -> None:
    fader = Crossfader()
    fader.push(clip(1, 2, 3), fade=0, hold=2)
    with pytest.raises(ValueError, match=f"cannot fade {fade} and hold {hold} of 5 frames with 2 held back"):
        fader.push(clip(1, 2, 3, 4, 5), fade=fade, hold=hold)


def test_what_is_held_back_does_not_follow_later_changes_of_the_frames() -> None:
    fader, frames = Crossfader(), clip(1, 2, 3)
    fader.push(frames, fade=0, hold=1)
    frames[:] = 99
    held = fader.flush()
    assert held is not None
    assert values(held) == [3]
