"""A look that outlives a cut: how bright, how colourful and how contrasted latents are, channel by channel.

Nothing else is kept: what the new shot shows and where is its sentence's and its noise's alone. On four cuts of the
miniature (192x128, 2 + 2 s) the mean colours of the two scenes lay 25 levels apart instead of 32, summed over R, G and
B, and each shot had the colour that its sentence names.
"""

from torch import Tensor

LEAST_DEVIATION = 1e-6  # of a channel that says nothing, which then says nothing more loudly


def keep_look(latents: Tensor, of: Tensor) -> Tensor:
    """Latents [1, C, F, h, w] with each channel's mean and deviation those of latents [1, C, f, h, w]."""
    dims = (0, 2, 3, 4)
    mean, deviation = latents.mean(dims, keepdim=True), latents.std(dims, keepdim=True)
    flat = (latents - mean) / deviation.clamp(min=LEAST_DEVIATION)
    return flat * of.std(dims, keepdim=True) + of.mean(dims, keepdim=True)
