"""What a film's chunks have in common: the object's colour and shape at both ends, and where it goes across seams.

By tests/judge.py, which knows nothing of how a film was made; its own mistakes are measured on drawn films.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.seams.drift import end_frames
from tests.judge import CONTRAST, SMALLEST_AREA, background_rows, judge

END_FRAMES = 49  # judged at each end: the length that the judge's figures are known for
SIDE_FRAMES = 12  # on each side of a seam, from which a velocity is taken
FEWEST_STEPS = 4  # with the whole object in the picture
GONE_FRAMES = 4  # without the object, before it is said to come back
EDGE_PIXELS = 3  # so near to the edge is at it: outlines are soft
SLOWEST_PIXELS = 0.25  # a frame; the slowest scene moves one
DIRECTED = ("moves left", "moves right", "rises", "falls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """`seen` is whether an object was found at both ends; what is lost is not kept.

    `went_on` tells of each seam where both velocities are known whether they point the same way, `came_in` of each time
    that the object comes back whether it comes in from an edge of the picture, as all that leaves it does.
    """

    seen: bool
    colour_kept: bool
    shape_kept: bool
    last_colour: str
    went_on: tuple[bool, ...]
    came_in: tuple[bool, ...]


def look(frames: NDArray[np.uint8], seams: Sequence[int], *, motion: str) -> Looks:
    """Look at a film [F, H, W, 3] whose object moves as `motion` says, with seams before these frames."""
    first, last = judge(frames[:END_FRAMES]), judge(frames[-END_FRAMES:])
    seen = first.seen and last.seen
    masks = object_masks(frames) if motion in DIRECTED else None
    return Looks(
        seen=seen,
        colour_kept=seen and first.words.colour == last.words.colour,
        shape_kept=seen and first.words.shape == last.words.shape,
        last_colour=last.words.colour,
        went_on=() if masks is None else _directions(centres(masks), seams),
        came_in=() if masks is None else _returns(masks),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fading:
    """How otherwise a film is painted at its end than at its beginning, whatever its object does: in 8-bit levels of R,
    G or B, whichever moved most, and as ratios. NaN where the object is hardly there at one of the ends.

    contrast: levels between the object and its background. sharpness: of the object's outline, what part of that
    contrast lies between two pixels.
    """

    background: float
    object: float
    contrast: float
    sharpness: float


def measure_fading(frames: NDArray[np.uint8]) -> Fading:
    """From the first to the last frames of a film [F, H, W, 3] uint8."""
    count = end_frames(len(frames))
    ends = [frames[:count], frames[-count:]]
    before, after = (background_rows(end).mean(axis=0, dtype=np.float64) for end in ends)
    first, last = (_object(end) for end in ends)
    return Fading(
        background=float(np.abs(after - before).max()),
        object=float(np.abs(last[0] - first[0]).max()),
        contrast=last[1] / first[1],
        sharpness=last[2] / first[2],
    )


def _object(frames: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float, float]:
    """Its colour [3] in levels, its contrast in levels and its sharpness; NaN where it is hardly there."""
    clip = frames.astype(np.float32)
    away = np.abs(clip - background_rows(frames)[None, :, None, :]).max(axis=-1)
    masks = away > CONTRAST
    if (masks.sum(axis=(1, 2)) > SMALLEST_AREA).sum() < FEWEST_STEPS:
        return np.full(3, np.nan), np.nan, np.nan
    inside = masks & (away > np.percentile(away[masks], 40))  # without the blended edge
    contrast = float(np.median(away[inside]))
    half = away > contrast / 2
    core = half[:, 1:-1, 1:-1] & half[:, :-2, 1:-1] & half[:, 2:, 1:-1] & half[:, 1:-1, :-2] & half[:, 1:-1, 2:]
    steps = np.hypot(*np.gradient(away, axis=(1, 2)))[:, 1:-1, 1:-1]
    sharpness = float(np.median(steps[half[:, 1:-1, 1:-1] & ~core])) / contrast
    return np.median(clip[inside], axis=0).astype(np.float64), contrast, sharpness


def object_masks(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the object is, [F, H, W]; nowhere in a frame that shows too little of it."""
    rows = background_rows(frames[:: max(1, len(frames) // 48)])
    masks = np.array([np.abs(frame.astype(np.float32) - rows[:, None]).max(axis=-1) > CONTRAST for frame in frames])
    masks[masks.sum(axis=(1, 2)) <= SMALLEST_AREA] = False
    return masks


def centres(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of the object, [F, 2] pixels down and across; NaN where it is cut by the picture's edge or absent."""
    found = np.full((len(masks), 2), np.nan)
    for index, mask in enumerate(masks):
        if mask.any() and not _touches_edge(mask, 1):
            found[index] = np.argwhere(mask).mean(axis=0)
    return found


def _returns(masks: NDArray[np.bool_]) -> tuple[bool, ...]:
    """Of each time that the object comes back whether it comes in from an edge, not out of nothing."""
    shown = masks.any(axis=(1, 2))
    back = [at for at in range(GONE_FRAMES, len(masks)) if shown[at] and not shown[at - GONE_FRAMES : at].any()]
    return tuple(_touches_edge(masks[at], EDGE_PIXELS) for at in back if shown[:at].any())


def _touches_edge(mask: NDArray[np.bool_], pixels: int) -> bool:
    return bool(mask[:pixels].any() or mask[-pixels:].any() or mask[:, :pixels].any() or mask[:, -pixels:].any())


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
