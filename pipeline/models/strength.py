"""A tail of a strength s below 1, which is not certain: it is known but for noise of level 1 - s.

While all else has more noise than that, the tail stands there at this level: held at its per-token timestep, or
repainted at each step's. From the step that begins at this level on, tail and new latents are denoised as one, so that
the model may put right what it was given. Levels are those that steps begin from, so 1 - s is rounded to the nearest
of them up to a half, or to none: with few steps the tail may be held to the end as if s were 1.

So there are two versions of the overlap, which become one by a sigmoid ramp: what was given at its first latent, the
model's at its last; it deviates as much as both do, models/deviation.py. Decode windows of the chunk, and of those that
follow it, see that; frames that were shown stay.
"""

import torch
from torch import Tensor

from pipeline.models.deviation import deviation_of, with_deviation
from pipeline.plan.levels import ROUNDING
from pipeline.video.blending import sigmoid_ramp


def is_held(sigma: float, level: float) -> bool:
    """Whether a step that begins at the noise level `sigma` is told of the tail instead of denoising it."""
    return not level or sigma > level + ROUNDING


def noised(latents: Tensor, noise: Tensor, level: float) -> Tensor:
    """Latents at a noise level, as flow matching mixes them; themselves at 0."""
    return (1 - level) * latents + level * noise if level else latents


def blend_versions(given: Tensor, made: Tensor) -> Tensor:
    """Both versions of an overlap [1, C, f, h, w] as one: `made` grows from its first latent to its last."""
    ramp = torch.from_numpy(sigmoid_ramp(given.shape[2])).to(given.device)
    made = made.to(given)
    blend = torch.lerp(given, made, ramp.to(given).view(1, 1, -1, 1, 1))
    return with_deviation(blend, torch.lerp(deviation_of(given), deviation_of(made), ramp))
