"""What the engine needs of a model family. Shapes and meanings; no diffusers here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.plan.chunks import Chunk
from pipeline.plan.spec import ModelSpec, VideoShape
from pipeline.prompt.cache import PromptEmbeds

Frames = NDArray[np.uint8]
"""[F, H, W, 3] uint8 RGB: one format at every border."""

OnStep = Callable[[int, Callable[[], Tensor]], None]
"""Called after step n (1-based) with a way to get the clean latents predicted so far, [1, C, F, h, w] float32, on the
device. May raise StopRequested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a chunk is denoised. `negative` is None when guidance is 1."""

    shape: VideoShape
    steps: int
    guidance: float
    positive: PromptEmbeds
    negative: PromptEmbeds | None


class Decoder(Protocol):
    """Turns the slices of one draft into frames, in the order of its timeline. May remember what came before."""

    def push(self, latents: Tensor) -> Frames:
        """Frames of the next slice, on the CPU; the VAE is on the device for this call only.

        Where the decoder is causal (`ModelSpec.causal_decoder`), slices share nothing and only a draft's very first
        latent stands for a single frame; otherwise the first latent of every slice does. After an error a decoder is
        of no more use.

        Args:
            latents: normalised, [1, C, F, h, w].
        """
        ...


class VideoModel(Protocol):
    """A checkpoint that can be asked for embeddings, latents and frames. Each call brings in what it needs."""

    spec: ModelSpec

    def warm_up(self) -> None:
        """Read into main memory what stays there anyway."""
        ...

    def encoder_fingerprint(self) -> str:
        """Names the text encoder's weights, for the embedding cache."""
        ...

    def encode(self, sentences: list[str]) -> list[PromptEmbeds]:
        """Embeddings on the CPU, in order; the encoder is loaded for this call only."""
        ...

    def denoise(self, chunk: Chunk, sampling: Sampling, *, tail: Tensor | None, on_step: OnStep) -> Tensor:
        """Latents of a chunk, [1, C, F, h, w] float32 on the CPU, normalised.

        Args:
            tail: the timeline's latents [1, C, chunk.overlap, h, w] that the chunk begins with, kept exactly.
        """
        ...

    def open_decoder(self, *, tile_pixels: int | None) -> Decoder:
        """For the slices of one draft; in tiles of `tile_pixels` a side, where given, blended where they meet."""
        ...

    def preview(self, latents: Tensor) -> Frames | None:
        """A small, rough picture of latents [1, C, F, h, w], fast; None where no map was fitted for this VAE."""
        ...
