"""A step in colour between two chunks made a slope, in frames that are decoded. Numpy only.

The last resort: what a model drew is not touched, only how bright and how coloured the pictures are on the whole. After
a seam all pixels are moved by as much as the mean colour jumped there, and by less and less up to the end of the slice.
Frames before a seam and those held back for the next slice stay what they are, so that a draft can be taken up at any
slice.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.plan.chunks import Seam, Slice
from pipeline.video.blending import sigmoid_ramp

NEAR_FRAMES = 4  # of the means on both sides of a step: those by which CS of seams/metrics.py judges it
AROUND_FRAMES = 8  # a step is what is more than the median of those up to here, so that a scene may brighten by itself

Frames = NDArray[np.uint8]
Colours = NDArray[np.float64]


class ColourMatcher:
    """Takes the decoded slices of a draft in their order.

    Args:
        factor: of a step that is taken back, 0 to 1; at 0 frames go through as they are.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._before: Colours = np.empty((0, 3))

    def match(self, frames: Frames, piece: Slice, seams: Sequence[Seam]) -> Frames:
        """Frames [F, H, W, 3] of a slice as they are decoded, those that it drops and holds back included."""
        if not self._factor:
            return frames
        if piece.opens_scene or piece.skip:  # a window that begins before its seam shows both sides of it
            self._before = np.empty((0, 3))
        known = np.concatenate([self._before, mean_colours(frames)])
        earlier, end = len(self._before), len(frames) - piece.hold
        self._before = known[-AROUND_FRAMES - NEAR_FRAMES :]
        places = [piece.skip + seam.frame - piece.first_frame for seam in seams]
        places = [place for place in places if 0 <= place < end]
        for place, stop in pairwise((*places, end)):
            frames = _spread(frames, place, stop, self._factor * colour_step(known, earlier + place))
        return frames


def mean_colours(frames: Frames) -> Colours:
    """Of each of F frames [F, H, W, 3] uint8, [F, 3] in levels. Added up in whole numbers, down before across, which is
    many times faster than numpy's mean over both at once."""
    down = frames.reshape(*frames.shape[:2], -1).sum(axis=1, dtype=np.uint32)
    across = down.reshape(len(frames), -1, 3).sum(axis=1, dtype=np.uint64)
    means: Colours = across / (frames.shape[1] * frames.shape[2])
    return means


def colour_step(colours: Colours, frame: int) -> NDArray[np.float64]:
    """How much the mean colour [F, 3] jumps before a frame, beyond what it changes around; nothing at the ends."""

    def step(at: int) -> NDArray[np.float64]:
        after, before = colours[at : at + NEAR_FRAMES], colours[at - NEAR_FRAMES : at]
        return np.asarray(after.mean(axis=0) - before.mean(axis=0))

    distances = range(NEAR_FRAMES, AROUND_FRAMES + 1)
    places = [frame + side * distance for side in (-1, 1) for distance in distances]
    around = [step(at) for at in places if NEAR_FRAMES <= at <= len(colours) - NEAR_FRAMES]
    if not NEAR_FRAMES <= frame <= len(colours) - NEAR_FRAMES or not around:
        return np.zeros(3)
    return np.asarray(step(frame) - np.median(around, axis=0))


def _spread(frames: Frames, first: int, stop: int, step: NDArray[np.float64]) -> Frames:
    """A copy, `step` taken from frame `first`, less and less from those up to `stop`, in whole levels.

    Fractions of a level, as a pattern of pixels that take one more, count as detail: HD of seams/metrics.py fell.
    """
    moved = frames.copy()
    for index, weight in enumerate(1 - sigmoid_ramp(stop - first), start=first):
        moved[index] = np.clip(frames[index] - np.rint(weight * step).astype(np.int16), 0, 255)
    return moved
