"""What is measured on every frame of a film while it streams by: a few numbers each, so that length costs no memory.

All in 8-bit units on small frames. y is BT.601 luma, 0.299 R + 0.587 G + 0.114 B, not rounded.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.seams.film import BLOCK_PIXELS

LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601
REACH_PIXELS = 6  # a block is looked for this far in each direction; the limit of MR was calibrated with it

Floats = NDArray[np.float64]
Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Numbers of a film's frames, each [F] unless said; NaN where a frame has no such number.

    change: d, mean |y - y of the frame before|; not of the first frame.
    acceleration: a, mean |y of the next - 2 y + y of the frame before|; not of the first and the last frame.
    residual: mean over 8x8 blocks of the least mean |y - y before, moved by up to 6 px|; only where asked for.
    detail: mean |Laplacian of y|, four neighbours, inner pixels.
    colour: [F, 3], mean R, G, B.
    luma: mean y.   contrast: standard deviation of y.   saturation: mean of max(R, G, B) - min(R, G, B).
    """

    change: Floats
    acceleration: Floats
    residual: Floats
    detail: Floats
    colour: Floats
    luma: Floats
    contrast: Floats
    saturation: Floats

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.luma)

    def between(self, start: int, stop: int) -> "Trace":
        """The frames [start, stop) as a film of their own: its ends have no neighbours."""
        parts = {name: values[start:stop].copy() for name, values in asdict(self).items()}
        parts["change"][:1] = parts["acceleration"][:1] = parts["acceleration"][-1:] = np.nan
        return Trace(**parts)


def trace_frames(frames: Iterable[NDArray[np.uint8]], *, matched: Collection[int]) -> Trace:
    """Measure frames [h, w, 3] uint8 RGB in order, both sides multiples of `BLOCK_PIXELS`, at least one.

    Args:
        frames: three of them are in memory at a time.
        matched: the frames whose `residual` is wanted; it takes 169 comparisons.
    """
    rows: list[list[float]] = []
    accelerations, colours = list[float](), list[Floats]()
    before = earlier = None
    for index, frame in enumerate(frames):
        pixels = frame.astype(np.float32)
        luma = pixels @ LUMA
        change = residual = acceleration = np.nan
        if before is not None:
            change = float(np.abs(luma - before).mean())
            residual = motion_residual(before, luma) if index in matched else np.nan
        if before is not None and earlier is not None:
            acceleration = float(np.abs(luma - 2 * before + earlier).mean())
        accelerations.append(acceleration)
        spread = frame.max(axis=2) - frame.min(axis=2)
        rows.append([change, residual, detail(luma), float(luma.mean()), float(luma.std()), float(spread.mean())])
        colours.append(pixels.mean(axis=(0, 1), dtype=np.float64))
        before, earlier = luma, before
    columns = np.array(rows).T
    return Trace(
        change=columns[0],
        acceleration=np.array([*accelerations[1:], np.nan]),  # known one frame later
        residual=columns[1],
        detail=columns[2],
        colour=np.array(colours),
        luma=columns[3],
        contrast=columns[4],
        saturation=columns[5],
    )


def detail(luma: Picture) -> float:
    """Mean |Laplacian| of a picture [h, w]: how much there is from pixel to pixel. A blend of two pictures has less."""
    inner = luma[1:-1, 1:-1]
    return float(np.abs(luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner).mean())


def motion_residual(before: Picture, after: Picture) -> float:
    """What motion of up to `REACH_PIXELS` does not explain: mean over the blocks of `after` of their best match.

    Both [h, w], sides multiples of `BLOCK_PIXELS`; beyond the edge, `before` goes on as it ends.
    """
    height, width = after.shape
    rows, columns = height // BLOCK_PIXELS, width // BLOCK_PIXELS
    around = np.pad(before, REACH_PIXELS, mode="edge")
    best = np.full((rows, columns), np.inf, np.float32)
    for down in range(2 * REACH_PIXELS + 1):
        for right in range(2 * REACH_PIXELS + 1):
            error = np.abs(after - around[down : down + height, right : right + width])
            blocks = error.reshape(rows, BLOCK_PIXELS, columns, BLOCK_PIXELS).mean(axis=(1, 3))
            np.minimum(best, blocks, out=best)
    return float(best.mean())
