"""The noise levels that a chunk's steps begin from, and the one from which on an uncertain tail is denoised with it.

As the samplers have them (models/ltx.py, models/wan.py), without torch: a plan says which part of a tail is certain.
"""

from collections.abc import Sequence
from itertools import pairwise

from pipeline.plan.spec import Family, ModelSpec, SigmaSchedule, Tail

ROUNDING = 1e-6
"""Of noise levels; `FlowMatchEulerDiscreteScheduler.step` and `LTXConditionPipeline` allow themselves as much."""

LARGEST_LEVEL = 0.5  # of what is more picture than noise: plan/continuing.py allows no smaller strength
LEAST_NOISE = 1e-3  # UniPC's steps are spread between this level and 1, before they are shifted
LINEAR_STEP_NOISE = 0.025  # of LTX-Video's schedule: what its first half of steps takes away together


def held_level(levels: Sequence[float], strength: float) -> float:
    """The noise level nearest to 1 - `strength` from which on a tail is denoised with the rest; 0 for never.

    Args:
        levels: from which the steps begin, descending, between 1 and 0.
        strength: of the tail, above 0, at most 1.
    """
    legal = (0.0, *(level for level in levels if level <= LARGEST_LEVEL + ROUNDING))
    return min(legal, key=lambda level: abs(level - (1 - strength)))


def noise_levels(spec: ModelSpec, steps: int, tail: Tail) -> tuple[float, ...]:
    """From which the `steps` of a chunk begin that goes on by `tail`, descending from about 1 to above 0."""
    match spec.sigma_schedule:
        case SigmaSchedule.LINEAR_QUADRATIC:
            return _linear_quadratic(steps)
        case SigmaSchedule.LISTED:
            return _listed(spec.timesteps, steps)
        case SigmaSchedule.SHIFTED:
            unipc = spec.family is Family.WAN and tail is not Tail.REPAINT
            last = LEAST_NOISE if unipc else 0.0
            even = (1 - (1 - last) * index / steps for index in range(steps))
            return tuple(spec.sigma_shift * level / (1 + (spec.sigma_shift - 1) * level) for level in even)


def _linear_quadratic(steps: int) -> tuple[float, ...]:
    """LTX-Video's own: half of the steps take `LINEAR_STEP_NOISE` away evenly, the others the rest, ever more."""
    if steps < 2:
        return (1.0,)
    half = steps // 2
    slope, rest = LINEAR_STEP_NOISE / half, half - LINEAR_STEP_NOISE * steps
    curve = rest / (half * (steps - half) ** 2)
    straight = slope - 2 * rest / (steps - half) ** 2
    linear = (1 - slope * index for index in range(half))
    quadratic = (1 - curve * index**2 - straight * index - curve * half**2 for index in range(half, steps))
    return (*linear, *quadratic)


def _listed(timesteps: Sequence[float], steps: int) -> tuple[float, ...]:
    """As many of those that a distilled checkpoint was trained for, or between them."""
    ends, found = tuple(pairwise(timesteps)), []
    for index in range(steps):
        place = (len(timesteps) - 1) * index / max(1, steps - 1)
        whole = min(int(place), len(ends) - 1)
        before, after = ends[whole]
        found.append((before + (after - before) * (place - whole)) / 1000)
    return tuple(found)
