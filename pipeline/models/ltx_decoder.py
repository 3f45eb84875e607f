"""LTX-Video's decoder, slice by slice."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor

from pipeline.gpu.residency import Residency
from pipeline.models.base import Decode, Frames
from pipeline.plan.memory import TILE_OVERLAP_PIXELS
from pipeline.plan.spec import Component
from pipeline.video.pixels import to_pixels

# LTX-Video 0.9.1 and later decode at a small timestep with a little noise; values of the 0.9.5 model card's example.
DECODE_TIMESTEP = 0.05
DECODE_NOISE_SCALE = 0.025


class WindowDecoder:
    """Decodes each slice by itself: LTX's decoder looks both ways in time, so there is nothing to remember."""

    def __init__(self, residency: Residency, tile_pixels: int | None) -> None:
        self._residency, self.tile_pixels = residency, tile_pixels

    def restart(self) -> None:
        """Nothing is remembered."""

    @contextmanager
    def visit(self) -> Iterator[Decode]:
        """Frames [8 (F - 1) + 1, H, W, 3] of one window a call, whole or in tiles."""
        with self._residency.on_device(Component.VAE) as module:
            vae: AutoencoderKLLTXVideo = module
            if self.tile_pixels is None:
                vae.disable_tiling()
            else:
                stride = self.tile_pixels - TILE_OVERLAP_PIXELS
                vae.enable_tiling(self.tile_pixels, self.tile_pixels, None, stride, stride)
            yield lambda latents: self._decode(vae, latents)

    @torch.no_grad()
    def _decode(self, vae: AutoencoderKLLTXVideo, latents: Tensor) -> Frames:
        dtype = next(vae.decoder.parameters()).dtype
        normalised = latents.to(self._residency.place(Component.VAE), torch.float32)
        mean, std = (buffer.view(1, -1, 1, 1, 1).to(normalised) for buffer in (vae.latents_mean, vae.latents_std))
        values = normalised * std / vae.config.scaling_factor + mean
        timestep = None
        if vae.config.timestep_conditioning:
            noise = torch.randn(values.shape, generator=torch.Generator("cpu").manual_seed(0)).to(values)
            values = (1 - DECODE_NOISE_SCALE) * values + DECODE_NOISE_SCALE * noise
            timestep = torch.tensor([DECODE_TIMESTEP], device=values.device, dtype=dtype)
        return to_pixels(vae.decode(values.to(dtype), timestep, return_dict=False)[0][0])
