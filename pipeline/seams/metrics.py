"""Five numbers of a seam and how far each may go. Numpy only.

s is the first frame of a chunk, so that d_s is the change across its seam. `FLOOR` is added above and below in every
ratio, so that a still or a plain picture has ratio 1. The window W is s - 8 .. s + 8, cut at the film's ends.

    SR  seam ratio          d_s / median of d over W without s                                 0.5 to 2.0
    SA  acceleration        max(a_s-1, a_s) / median of a over W without both                  up to 2.0
    CS  colour step         step_s - median of step over s - 8 .. s - 4 and s + 4 .. s + 8     up to 1.5
                            step_t: max over R, G, B of |mean of frames t .. t + 3 - mean of frames t - 4 .. t - 1|
    MR  motion residual     residual_s / median of residual over s - 4 .. s + 4 without s      up to 1.6
    HD  detail dip          mean detail of the blend / median detail of 8 frames on each side  from 0.95

The blend is the frames that a draft faded before s; where none were, s - 4 .. s + 3. SR is high at a cut or a jump and
low where a frame is repeated. CS is in 8-bit levels; a step against a scene's own brightening is partly hidden by it.
HD is low where two pictures show through one another, and also where the only thing in a plain picture leaves it.

Calibrated on 28 clips, 280 positions: originals and outputs of several models and real footage, at places that are no
seams, as they are and with faults put in. As they are:

    SR  median 1.03, 95 % below 1.4 to 1.6, 99 % below 1.5 to 2.0
    SA  median 1.06, 95 % below 1.5 to 1.7, 99 % below 2.2 to 2.4
    CS  median 0, 95 % below 1.2 to 1.45, 99 % below 2.6 to 4.9
    MR  median 1.02, 95 % below 1.28 to 1.40, 99 % below 1.4 to 1.75
    HD  median 1.00, 95 % above 0.98, 99 % above 0.92

A single seam may change up to twice as much as what is around it. That a film's every seam changes more is another
fault: the median of SR over its seams is up to 1.25, a fifth above the 1.03 of places that are no seams.

6.2 % were beyond the limit of SR, SA, CS or MR. With a fault: all cuts, 96 % of jumps by 8 frames, 94 % by 4, 74 % by
2, 93 % of colour steps of 4 levels, 79 % of 2. The median of HD was 0.86 in a crossfade of different contents, 0.92 in
one of a clip with itself 6 frames later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline.plan.chunks import Seam
from pipeline.seams.trace import Floats, Trace

FLOOR = 0.25  # 8-bit levels; part of the calibration
WINDOW_FRAMES = 8
NEAR_FRAMES = 4
MARGIN_FRAMES = WINDOW_FRAMES  # on each side of a seam: CS then has one position on each side to be compared with


class Metric(StrEnum):
    """A number of a seam."""

    SR = "SR"
    SA = "SA"
    CS = "CS"
    MR = "MR"
    HD = "HD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a number may be, both ends included; at least one end."""

    low: float | None = None
    high: float | None = None

    def strain(self, value: float) -> float:
        """How far a number is towards the nearer end: above 1 is beyond it."""
        above = -np.inf if self.high is None else value / self.high
        below = -np.inf if self.low is None else self.low / value
        return float(max(above, below))

    def __str__(self) -> str:
        if self.low is None:
            return f"up to {self.high:g}"
        return f"from {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


LIMITS: Mapping[Metric, Limit] = {
    Metric.SR: Limit(low=0.5, high=2.0),
    Metric.SA: Limit(high=2.0),
    Metric.CS: Limit(high=1.5),
    Metric.MR: Limit(high=1.6),
    Metric.HD: Limit(low=0.95),
}
MEDIAN_LIMITS: Mapping[Metric, Limit] = {Metric.SR: Limit(high=1.25)}  # of the median over a film's seams


def measure_seam(trace: Trace, seam: Seam) -> dict[Metric, float]:
    """The five numbers of a seam with at least `MARGIN_FRAMES` frames on each side of it."""
    frame = seam.frame
    first, stop = max(1, frame - WINDOW_FRAMES), min(trace.frames, frame + WINDOW_FRAMES + 1)
    window = np.arange(first, stop)
    across = trace.acceleration[frame - 1 : frame + 1]
    quiet = trace.acceleration[window[(window != frame - 1) & (window != frame) & (window < trace.frames - 1)]]
    near = window[(window != frame) & (abs(window - frame) <= NEAR_FRAMES)]
    return {
        Metric.SR: _ratio(trace.change[frame], trace.change[window[window != frame]]),
        Metric.SA: _ratio(across.max(), quiet),
        Metric.CS: _colour_step(trace, frame),
        Metric.MR: _ratio(trace.residual[frame], trace.residual[near]),
        Metric.HD: _dip(trace, seam),
    }


def matched_frames(seams: tuple[Seam, ...]) -> frozenset[int]:
    """The frames whose motion residual `measure_seam` wants to know."""
    around = range(-NEAR_FRAMES, NEAR_FRAMES + 1)
    return frozenset(seam.frame + offset for seam in seams for offset in around)


def _ratio(value: float, others: Floats) -> float:
    return float((value + FLOOR) / (np.median(others) + FLOOR))


def _colour_step(trace: Trace, frame: int) -> float:
    def step(at: int) -> float:
        after, before = trace.colour[at : at + NEAR_FRAMES], trace.colour[at - NEAR_FRAMES : at]
        return float(np.abs(after.mean(axis=0) - before.mean(axis=0)).max())

    distances = range(NEAR_FRAMES, WINDOW_FRAMES + 1)  # nearer ones would reach across the seam themselves
    places = [frame + side * distance for side in (-1, 1) for distance in distances]
    others = [step(at) for at in places if NEAR_FRAMES <= at <= trace.frames - NEAR_FRAMES]
    return step(frame) - float(np.median(others))


def _dip(trace: Trace, seam: Seam) -> float:
    first, stop = seam.frame - seam.faded_frames, seam.frame
    if not seam.faded_frames:
        first, stop = seam.frame - NEAR_FRAMES, seam.frame + NEAR_FRAMES
    first = max(0, first)
    beside = [trace.detail[max(0, first - WINDOW_FRAMES) : first], trace.detail[stop : stop + WINDOW_FRAMES]]
    return _ratio(trace.detail[first:stop].mean(), np.concatenate(beside))
