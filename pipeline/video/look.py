"""A look that outlives a cut: how bright, how colourful and how contrasted latents are, channel by channel.

Nothing else is kept: what the new shot shows and where is its sentence's and its noise's alone.
"""

from torch import Tensor

STRENGTH = 0.5
"""How far the statistics go towards the other's: 0 is not at all, 1 all the way. A channel of latents also says what is
to be seen, so at 1 the new shot's own colours would go; assumed until measured."""


def keep_look(latents: Tensor, of: Tensor, strength: float = STRENGTH) -> Tensor:
    """Latents [1, C, F, h, w] with each channel's mean and deviation moved towards those of latents [1, C, f, h, w]."""
    dims = (0, 2, 3, 4)
    mean, deviation = latents.mean(dims, keepdim=True), latents.std(dims, keepdim=True)
    wanted_mean = mean + strength * (of.mean(dims, keepdim=True) - mean)
    wanted_deviation = deviation + strength * (of.std(dims, keepdim=True) - deviation)
    return (latents - mean) / deviation.clamp(min=1e-6) * wanted_deviation + wanted_mean
