"""Frames of neighbouring decode windows into one stream, faded where they overlap. Numpy only."""

import numpy as np
from numpy.typing import NDArray

STEEPNESS = 6.0  # of the sigmoid over the overlap: 0.0025 to 0.9975 at the ends of a long one


def sigmoid_ramp(frames: int) -> NDArray[np.float32]:
    """Weights [frames] of the new side of an overlap: rising, above 0 at the first, below 1 at the last frame.

    The old side's weights are 1 minus these, which is the same ramp backwards, so both sides are treated alike.
    """
    position = (np.arange(frames) + 1) / (frames + 1)
    return (1 / (1 + np.exp(-STEEPNESS * (2 * position - 1)))).astype(np.float32)


class Crossfader:
    """Joins pushed pieces; keeps the end of each back until the next one is there to be faded over it."""

    def __init__(self) -> None:
        self._held: NDArray[np.uint8] | None = None

    @property
    def held_frames(self) -> int:
        """How many frames are kept back."""
        return 0 if self._held is None else len(self._held)

    def push(self, frames: NDArray[np.uint8], *, fade: int, hold: int) -> NDArray[np.uint8]:
        """Frames that are final now.

        Args:
            frames: [F, H, W, 3] uint8; the first `fade` show the same moments as what was held back.
            fade: must equal the number of frames held back by the push before.
            hold: frames at the end to keep for the next push.

        Returns:
            [F - hold, H, W, 3] uint8.
        """
        held = self.held_frames
        if fade != held or max(fade, hold) > len(frames):
            raise ValueError(f"cannot fade {fade} and hold {hold} of {len(frames)} frames with {held} held back")
        if self._held is not None:
            weight = sigmoid_ramp(fade)[:, None, None, None]
            mixed = self._held * (1 - weight) + frames[:fade] * weight
            frames = np.concatenate([np.rint(mixed).astype(np.uint8), frames[fade:]])
        self._held = frames[len(frames) - hold :].copy() if hold else None
        return frames[: len(frames) - hold]

    def flush(self) -> NDArray[np.uint8] | None:
        """What was held back, when no next piece will come; None if nothing was."""
        held, self._held = self._held, None
        return held
