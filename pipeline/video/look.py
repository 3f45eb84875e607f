"""How bright, how colourful and how contrasted latents are, channel by channel: kept over a cut, held within a shot.

A look that outlives a cut: nothing else is kept; what the new shot shows and where is its sentence's and its noise's
alone. On four cuts of the miniature (192x128, 2 + 2 s) the mean colours of the two scenes lay 25 levels apart instead
of 32, summed over R, G and B, and each shot had the colour that its sentence names.
"""

import torch
from torch import Tensor

from pipeline.video.blending import sigmoid_ramp

LEAST_DEVIATION = 1e-6  # of a channel that says nothing, which then says nothing more loudly


def keep_look(latents: Tensor, of: Tensor) -> Tensor:
    """Latents [1, C, F, h, w] with each channel's mean and deviation those of latents [1, C, f, h, w]."""
    dims = (0, 2, 3, 4)
    mean, deviation = latents.mean(dims, keepdim=True), latents.std(dims, keepdim=True)
    flat = (latents - mean) / deviation.clamp(min=LEAST_DEVIATION)
    return flat * of.std(dims, keepdim=True) + of.mean(dims, keepdim=True)


def anchor_look(latents: Tensor, of: Tensor, factor: float) -> Tensor:
    """Latents [1, C, F, h, w] that follow others, on their way to the look of latents [1, C, f, h, w].

    The first is hardly moved, the last by `factor` of all that is between the two, a sigmoid ramp from one to the
    other, so that nothing jumps where the first follows what was there. No channel's deviation falls below the smaller
    of the two: what is mixed is a picture and the same one, brighter or darker, softer or harder.
    """
    ramp = torch.from_numpy(sigmoid_ramp(latents.shape[2])).to(latents).view(1, 1, -1, 1, 1)
    return torch.lerp(latents, keep_look(latents, of), factor * ramp)
