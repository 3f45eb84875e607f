"""What the engine needs of a model family. Shapes and meanings; no diffusers here."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.plan.chunks import Chunk
from pipeline.plan.device import Held
from pipeline.plan.memory import Stage
from pipeline.plan.placement import Choice
from pipeline.plan.spec import ModelSpec, Tail, VideoShape
from pipeline.prompt.cache import PromptEmbeds

Frames = NDArray[np.uint8]
"""[F, H, W, 3] uint8 RGB: one format at every border."""

OnStep = Callable[[int, Callable[[], Tensor]], None]
"""Called after step n (1-based) with a way to get the clean latents predicted so far, [1, C, F, h, w] float32, on the
device. May raise StopRequested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNoise:
    """Latents [start, stop) of the noise from which another window, of `latents` and with a seed, began."""

    seed: int
    latents: int
    start: int
    stop: int

    def draw(self, channels: int, rows: int, columns: int) -> Tensor:
        """It, [1, C, stop - start, h, w] float32 on the CPU, as every family draws its noise."""
        generator = torch.Generator("cpu").manual_seed(self.seed)
        return torch.randn(1, channels, self.latents, rows, columns, generator=generator)[:, :, self.start : self.stop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A latent [1, C, 1, h, w] from before a chunk's window, `place` latents from its start: below 0."""

    latent: Tensor
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a chunk is denoised. `negative` is None when guidance is 1; `ahead` [1, C, f, h, w] are the latents
    that it ends with, where there are such, kept exactly; `keyframe` [1, C, 1, h, w] is a picture that its last frame
    is to be; `tail` tells how what is given is used, in the model's usual way where it is None, and `tail_strength` how
    much of it is known; `shared_noise` is what the first of the latents that it adds begin from instead of noise of
    their own; `guided_share` is that of the steps, the last ones, in which guidance is asked for; `recalled` is what
    stands beside the window (models/recalling.py)."""

    shape: VideoShape
    steps: int
    guidance: float
    positive: PromptEmbeds
    negative: PromptEmbeds | None
    ahead: Tensor | None = None
    keyframe: Tensor | None = None
    tail: Tail | None = None
    tail_strength: float = 1.0
    shared_noise: SharedNoise | None = None
    guided_share: float = 1.0
    recalled: Recalled | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingState:
    """Where the denoising of a chunk stands after `step` steps: all that the next one needs, on the CPU.

    The tensors' names are their family's; models/sampler.py says what a sampler remembers.
    """

    step: int
    tensors: Mapping[str, Tensor]


Keep = Callable[[SamplingState], None]
"""Given where a chunk stands after each step, just before `OnStep` is called."""

Decode = Callable[[Tensor], Frames]
"""From normalised latents [1, C, F, h, w] of the next slice to its frames, on the CPU."""


class Decoder(Protocol):
    """Turns the slices of one draft into frames, in the order of its timeline. May remember what came before."""

    def visit(self) -> AbstractContextManager[Decode]:
        """The VAE on the device, for as many slices as are there to be decoded.

        Where the decoder is causal (`ModelSpec.causal_decoder`), slices share nothing and only a draft's very first
        latent stands for a single frame; otherwise the first latent of every slice does. After an error a decoder is
        of no more use.
        """
        ...

    def restart(self) -> None:
        """A cut comes: forget what was decoded, so that the next slice is decoded as a draft's first."""
        ...


class VideoModel(Protocol):
    """A checkpoint that can be asked for embeddings, latents and frames. Each call brings in what it needs."""

    spec: ModelSpec

    def follow(self, choices: Mapping[Stage, Choice]) -> None:
        """Run each stage as chosen from now on. Raises ModelUnavailable for what cannot be carried out."""
        ...

    def warm_up(self) -> None:
        """Read what stays between chunks anyway."""
        ...

    def held(self) -> Held:
        """What it keeps of memory for the next draft."""
        ...

    def identity(self) -> str:
        """Names the weights by what is in them. Raises ModelUnavailable where they cannot be read."""
        ...

    def encoder_fingerprint(self) -> str:
        """Names what a sentence's embedding depends on besides the sentence, for the embedding cache."""
        ...

    def encode(self, sentences: list[str]) -> list[PromptEmbeds]:
        """Embeddings on the CPU, in order; the encoder is loaded for this call only."""
        ...

    def denoise(
        self,
        chunk: Chunk,
        sampling: Sampling,
        *,
        tail: Tensor | None,
        on_step: OnStep,
        resume_from: SamplingState | None = None,
        keep: Keep | None = None,
    ) -> Tensor:
        """Latents of a chunk, [1, C, F, h, w] float32 on the CPU, normalised.

        Args:
            tail: the timeline's latents [1, C, chunk.overlap, h, w] that the chunk begins with, kept exactly where
                `sampling.tail_strength` is 1; from `reencode` where `sampling.tail` is FRAMES.
            resume_from: what `keep` was given of the same chunk, sampling and tail; only the steps after it are made,
                and on the same device in the same precision the latents are those of never having stopped.
        """
        ...

    def reencode(self, latents: Tensor, count: int) -> Tensor:
        """The end of a timeline [1, C, F, h, w], decoded, as the `count` latents of a clip that begins with its last
        frames; float32 on the CPU, normalised."""
        ...

    def encode_frames(self, frames: Frames) -> Tensor:
        """Frames, as many as the VAE's grid takes, as latents [1, C, f, h, w], float32 on the CPU, normalised."""
        ...

    def open_decoder(self) -> Decoder:
        """For the slices of one draft; in tiles, blended where they meet, where that was chosen."""
        ...

    def preview(self, latents: Tensor) -> Frames | None:
        """A small, rough picture of latents [1, C, F, h, w], fast; None where no map was fitted for this VAE."""
        ...
