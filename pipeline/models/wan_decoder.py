"""Wan's VAE as a stream: exact, latent by latent, with what it remembers kept from slice to slice of a draft.

The decoder is causal: each convolution looks back two frames, which it finds in a cache. Kept over the whole draft, the
cache makes slices one unbroken decode; diffusers' own `decode` empties it at every call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify
from torch import Tensor

from pipeline.gpu.residency import Residency
from pipeline.models.base import Decode, Frames
from pipeline.plan.memory import TILE_OVERLAP_PIXELS
from pipeline.plan.spec import Component
from pipeline.video.pixels import to_pixels


@dataclass(frozen=True, slots=True)
class Span:
    """Latents [start, stop) that a tile covers of a side of `total`."""

    start: int
    stop: int
    total: int

    def weights(self, ratio: int, overlap: int) -> Tensor:
        """Of each of its pixels, float32; with its neighbours' they sum to one.

        Args:
            ratio: pixels a latent.
            overlap: shared pixels, over which one tile is faded into the next.
        """
        weights = torch.ones((self.stop - self.start) * ratio)
        ramp = torch.arange(overlap) / overlap
        if self.start > 0:
            weights[:overlap] *= ramp
        if self.stop < self.total:
            weights[-overlap:] *= 1 - ramp
        return weights


@dataclass(slots=True)
class Stream:
    """The causal decode of one tile, or of the whole picture."""

    rows: Span
    columns: Span
    cache: list[Tensor | str | None] = field(default_factory=list)

    def decode(self, vae: AutoencoderKLWan, latent: Tensor) -> Tensor:
        """The next frames [3, 1 or 4, H, W] of its part, about -1 to 1; one for the first latent, then four each.

        Args:
            vae: on the latent's device.
            latent: the whole picture's, [1, C, 1, h, w], as the VAE encodes it.
        """
        first = not self.cache
        if first:
            self.cache = [None] * vae._cached_conv_counts["decoder"]
        part = latent[..., self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]
        decoded = vae.decoder(vae.post_quant_conv(part), feat_cache=self.cache, feat_idx=[0], first_chunk=first)
        if vae.config.patch_size is not None:
            decoded = unpatchify(decoded, patch_size=vae.config.patch_size)
        picture: Tensor = decoded[0]
        return picture

    def move(self, where: torch.device) -> None:
        """Take what it remembers there; markers among the tensors stay."""
        self.cache = [entry.to(where) if isinstance(entry, Tensor) else entry for entry in self.cache]


class WanDecoder:
    """The decoder of one draft. What it remembers waits in main memory while something else is on the device.

    Args:
        residency: brings the VAE.
        latent_pixels: pixels a latent, down and across.
        tile_pixels: side of a tile, each of which remembers for itself; None for whole pictures.
    """

    def __init__(self, residency: Residency, *, latent_pixels: int, tile_pixels: int | None) -> None:
        self._residency = residency
        self._latent_pixels, self._tile_pixels = latent_pixels, tile_pixels
        self._streams: list[Stream] = []

    @contextmanager
    def visit(self) -> Iterator[Decode]:
        """Frames of the next slice a call: 4 a latent, 1 for the draft's first."""
        with self._residency.on_device(Component.VAE) as module:
            vae: AutoencoderKLWan = module
            yield lambda latents: self._next(vae, latents)
            if len(self._streams) == 1:
                self._streams[0].move(torch.device("cpu"))

    @torch.no_grad()
    def _next(self, vae: AutoencoderKLWan, latents: Tensor) -> Frames:
        where, dtype = self._residency.place(Component.VAE), next(vae.decoder.parameters()).dtype
        statistics = torch.tensor([vae.config.latents_mean, vae.config.latents_std], device=where)
        mean, std = statistics.view(2, 1, -1, 1, 1, 1)
        values = (latents.to(where, torch.float32) * std + mean).to(dtype)
        if not self._streams:
            self._streams = self._lay_out(*latents.shape[3:])
        if len(self._streams) == 1:
            self._streams[0].move(where)
        # frame by frame off the device, so that it never holds more than one latent's
        return np.concatenate([to_pixels(self._decode(vae, latent)) for latent in values.split(1, dim=2)])

    def _decode(self, vae: AutoencoderKLWan, latent: Tensor) -> Tensor:
        """Frames [3, 1 or 4, H, W] of one latent [1, C, 1, h, w]; of several tiles, only one's memory is on a card."""
        if len(self._streams) == 1:
            return self._streams[0].decode(vae, latent)
        canvas: Tensor | None = None
        ratio = self._latent_pixels
        for stream in self._streams:
            stream.move(latent.device)
            part = stream.decode(vae, latent).float()
            stream.move(torch.device("cpu"))
            if canvas is None:
                size = latent.shape[3] * ratio, latent.shape[4] * ratio
                canvas = torch.zeros(*part.shape[:2], *size, device=latent.device)
            down, across = (
                span.weights(ratio, TILE_OVERLAP_PIXELS).to(latent.device) for span in (stream.rows, stream.columns)
            )
            part *= down[:, None] * across
            rows, columns = (slice(span.start * ratio, span.stop * ratio) for span in (stream.rows, stream.columns))
            canvas[:, :, rows, columns] += part
        assert canvas is not None
        return canvas

    def _lay_out(self, height: int, width: int) -> list[Stream]:
        """Tiles row by row, as many as plan/memory.py counts; one for the whole picture."""
        return [Stream(rows, columns) for rows in self._spans(height) for columns in self._spans(width)]

    def _spans(self, total: int) -> list[Span]:
        if self._tile_pixels is None:
            return [Span(0, total, total)]
        tile = self._tile_pixels // self._latent_pixels
        stride = tile - TILE_OVERLAP_PIXELS // self._latent_pixels
        count = 1 + max(0, -(-(total - tile) // stride))
        return [Span(stride * index, min(stride * index + tile, total), total) for index in range(count)]
