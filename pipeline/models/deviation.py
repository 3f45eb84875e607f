"""Blends that deviate as much as their parts: a plain mean of latents that disagree is flatter than any of them.

The deviation is one latent's at a time, of all its numbers. What a blend lacks is put into what its channels show:
that is stretched about each channel's mean, by one factor for all of them. The means, which are colour, stay as they
were averaged.
"""

import torch
from torch import Tensor

MOST = 2.5
"""Of the factor: what would need more is parts that contradict each other, of whose blend too little is left to be
stretched. With equal halves and means that agree, those are correlated by less than -0.68."""


def deviation_of(latents: Tensor) -> Tensor:
    """Of each latent of [B, C, F, ...]: [B, F] float32, in the latents' own unit."""
    return latents.float().movedim(2, 1).flatten(2).std(-1, correction=0)


def with_deviation(blend: Tensor, wanted: Tensor) -> Tensor:
    """A blend [B, C, F, ...] stretched to deviate by `wanted`, [B, F]; in the dtype it came in.

    What already does stays as it is, bit for bit, and so does what shows nothing that could be stretched.
    """
    flat = blend.float().flatten(3)
    shown = flat - flat.mean(-1, keepdim=True)
    variance = shown.square().mean((1, 3))
    lacking = (wanted.square() - deviation_of(blend).square()) / variance
    factor = torch.where(variance > 0, (1 + lacking).clamp(0, MOST**2).sqrt(), 1.0)
    return (flat + (factor[:, None, :, None] - 1) * shown).view_as(blend).to(blend)
