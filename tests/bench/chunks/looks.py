"""What a film's chunks have in common: the object's colour and shape at both ends, and where it goes across seams.

By tests/judge.py, which knows nothing of how a film was made; its own mistakes are measured on drawn films.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.judge import CONTRAST, SMALLEST_AREA, background_rows, judge

END_FRAMES = 49  # judged at each end: the length that the judge's figures are known for
SIDE_FRAMES = 12  # on each side of a seam, from which a velocity is taken
FEWEST_STEPS = 4  # with the whole object in the picture
SLOWEST_PIXELS = 0.25  # a frame; the slowest scene moves one
DIRECTED = ("moves left", "moves right", "rises", "falls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """`seen` is whether an object was found at both ends; what is lost is not kept.

    `went_on` tells of each seam where both velocities are known whether they point the same way.
    """

    seen: bool
    colour_kept: bool
    shape_kept: bool
    last_colour: str
    went_on: tuple[bool, ...]


def look(frames: NDArray[np.uint8], seams: Sequence[int], *, motion: str) -> Looks:
    """Look at a film [F, H, W, 3] whose object moves as `motion` says, with seams before these frames."""
    first, last = judge(frames[:END_FRAMES]), judge(frames[-END_FRAMES:])
    seen = first.seen and last.seen
    return Looks(
        seen=seen,
        colour_kept=seen and first.words.colour == last.words.colour,
        shape_kept=seen and first.words.shape == last.words.shape,
        last_colour=last.words.colour,
        went_on=_directions(centres(frames), seams) if motion in DIRECTED else (),
    )


def centres(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Where the object is, [F, 2] pixels down and across; NaN where it is cut by the picture's edge or absent."""
    rows = background_rows(frames[:: max(1, len(frames) // 48)])
    found = np.full((len(frames), 2), np.nan)
    for index, frame in enumerate(frames):
        mask = np.abs(frame.astype(np.float32) - rows[:, None]).max(axis=-1) > CONTRAST
        edge = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        if mask.sum() > SMALLEST_AREA and not edge:
            found[index] = np.argwhere(mask).mean(axis=0)
    return found


def _directions(places: NDArray[np.float64], seams: Sequence[int]) -> tuple[bool, ...]:
    velocities = (
        (_velocity(places[max(0, at - SIDE_FRAMES) : at]), _velocity(places[at : at + SIDE_FRAMES])) for at in seams
    )
    return tuple(
        bool(before @ after > 0)
        for before, after in velocities
        if before is not None and after is not None and np.hypot(*before) > SLOWEST_PIXELS
    )


def _velocity(places: NDArray[np.float64]) -> NDArray[np.float64] | None:
    steps = np.diff(places, axis=0)
    steps = steps[~np.isnan(steps).any(axis=1)]
    return np.median(steps, axis=0) if len(steps) >= FEWEST_STEPS else None
