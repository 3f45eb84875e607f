"""How far a film drifts from its first frames to its last ones, against the same draft made in one chunk. Numpy only.

DR compares the first 15 % of the frames with the last 15 %, at least 16 frames, at most half of the film. Of the
numbers that `trace` has of every frame, first and last being the means over these frames and F the floor of `metrics`:

    luma        last - first, in 8-bit levels
    luma slope  of the line through the mean luma of each chunk, by least squares, in levels a chunk; 0 for one chunk
    contrast    (last + F) / (first + F) of the standard deviation of luma
    saturation  the same of the mean of max(R, G, B) - min(R, G, B)
    detail      the same of the mean |Laplacian| of luma
    motion      the same of d, the mean |luma - luma of the frame before|; the film's first frame has none

With another film of the same length, what the chunks added is luma and its slope less that film's, and each ratio
divided by that film's ratio. Without one drift is told and not judged.

Films drift by themselves: of 28 clips (see `metrics`), each made in one pass, 95 % lay within 12.1 levels of luma and
ratios of contrast of 0.96 to 1.22, of saturation of 0.95 to 1.54, of detail of 0.85 to 1.11, of motion of 0.23 to 2.0.
So limits are set to what chunks add, not to what a film has.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.plan.chunks import Seam
from pipeline.seams.metrics import FLOOR, Limit
from pipeline.seams.trace import Floats, Trace

SHARE = 0.15
LEAST_FRAMES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Last frames against first ones: `luma` in 8-bit levels, `luma_slope` in levels a chunk, the others as ratios."""

    luma: float
    luma_slope: float
    contrast: float
    saturation: float
    detail: float
    motion: float


DRIFT_LIMITS: Mapping[str, Limit] = {  # of what `compare_drift` returns; levels without their sign
    "luma": Limit(high=12.0),
    "luma_slope": Limit(high=1.0),
    "contrast": Limit(low=0.90, high=1.25),
    "saturation": Limit(low=0.90, high=1.35),
    "detail": Limit(low=0.85),
    "motion": Limit(low=0.5),
}
_LEVELS = ("luma", "luma_slope")  # compared as differences


def end_frames(frames: int) -> int:
    """How many of a film's frames are its first ones, and how many its last."""
    return min(max(LEAST_FRAMES, round(SHARE * frames)), frames // 2)


def measure_drift(trace: Trace, seams: tuple[Seam, ...]) -> Drift:
    """The drift of a film of at least 4 frames; the slope is that of its chunks' mean luma, 0 for one chunk."""
    count = end_frames(trace.frames)
    stops = [seam.frame for seam in seams]
    means = [part.mean() for part in np.split(trace.luma, stops)]

    def ratio(values: Floats) -> float:
        return float((np.nanmean(values[-count:]) + FLOOR) / (np.nanmean(values[:count]) + FLOOR))

    return Drift(
        luma=float(trace.luma[-count:].mean() - trace.luma[:count].mean()),
        luma_slope=float(np.polyfit(range(len(means)), means, 1)[0]) if seams else 0.0,
        contrast=ratio(trace.contrast),
        saturation=ratio(trace.saturation),
        detail=ratio(trace.detail),
        motion=ratio(trace.change),
    )


def compare_drift(chunked: Drift, unchunked: Drift) -> Drift:
    """What the chunks added: levels less the other film's levels, ratios by the other film's ratios."""
    own, other = asdict(chunked), asdict(unchunked)
    return Drift(**{name: own[name] - other[name] if name in _LEVELS else own[name] / other[name] for name in own})


def beyond_limits(added: Drift) -> tuple[str, ...]:
    """Names of what `compare_drift` returned that is beyond its limit."""
    values = {name: abs(value) if name in _LEVELS else value for name, value in asdict(added).items()}
    return tuple(name for name, value in values.items() if DRIFT_LIMITS[name].strain(value) > 1)
