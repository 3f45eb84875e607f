"""LTX-Video's pipeline in mid-film: what a window is given are latents, at both of its ends, with their positions."""

from typing import Any

import torch
from diffusers import LTXConditionPipeline
from torch import Tensor

from pipeline.models.base import Recalled, SamplingState, SharedNoise
from pipeline.models.sampler import GENERATOR
from pipeline.models.strength import noised
from pipeline.plan.levels import ROUNDING


class ContinuedPipeline(LTXConditionPipeline):
    """`LTXConditionPipeline` that begins a window with given latents instead of given pictures.

    The given latents sit at per-token timestep 0 from the first step on, or are repainted after each; either way they
    come out bit for bit as they went in, unless they are held at a `level` above 0 (models/strength.py). The window's
    positions are those of the draft's timeline, `first_latent` on: position 0 is a first latent (one frame), later ones
    stand for eight frames each. It can also begin in mid-chunk: with `begun`, and the timesteps that are left.
    """

    _callback_tensor_inputs = ("latents", "noise_pred")
    tail: Tensor | None = None  # [1, C, f, h, w], normalised
    ahead: Tensor | None = None  # likewise, at the end
    keyframe: Tensor | None = None  # [1, C, 1, h, w]: a picture that stands beside the sequence, at its last frame
    recalled: Recalled | None = None  # beside the sequence, too, at its own time
    repaints: bool = False
    level: float = 0.0
    shared_noise: SharedNoise | None = None  # of the first latents behind the tail
    first_latent: int = 0
    begun: SamplingState | None = None
    _given: tuple[Tensor, Tensor] | None = None  # the tail as tokens [1, f h w, C], the noise in its place
    beside: int = 0  # tokens in front of the sequence

    @property
    def holds(self) -> bool:
        """Whether anything is held at timestep 0."""
        parts = (None if self.repaints else self.tail, self.ahead, self.keyframe, self.recalled)
        return any(part is not None for part in parts)

    def repaint(self, latents: Tensor, sigma: Tensor) -> Tensor:
        """Tokens after a step, the tail set among them to what it is at `sigma` if it is to be repainted."""
        if self._given is None or float(sigma) < self.level - ROUNDING:
            return latents
        given, noise = self._given
        sigma = sigma.to(given)
        beside, rest = latents[:, : self.beside], latents[:, self.beside + given.shape[1] :]
        return torch.cat([beside, (1 - sigma) * given + sigma * noise, rest], dim=1)

    @property
    def _execution_device(self) -> torch.device:
        device: torch.device = self.transformer.device  # the VAE here is a description only
        return device

    def prepare_latents(self, conditions: list[Tensor] | None = None, *args: Any, **arguments: Any) -> Any:
        """Noise between the tail and what is ahead: packed latents, mask of what is given, positions, extra tokens."""
        del conditions  # a black frame that only tells the pipeline that something is given
        latents, _, video_ids, extra = super().prepare_latents([], *args, **arguments)
        frames = self.vae_temporal_compression_ratio
        if self.first_latent:
            count = (arguments["num_frames"] - 1) // frames + 1
            index = torch.arange(count, device=video_ids.device).repeat_interleave(video_ids.shape[2] // count)
            video_ids[:, 0] = (index + self.first_latent) * frames + 1 - frames
        given = None if self.tail is None else self._pack_latents(self.tail.to(latents), 1, 1)
        if self.shared_noise is not None:
            sides = (arguments[side] // self.vae_spatial_compression_ratio for side in ("height", "width"))
            drawn = self.shared_noise.draw(arguments["num_channels_latents"], *sides)
            shared = self._pack_latents(drawn.to(latents), 1, 1)
            first = 0 if given is None else given.shape[1]
            latents = torch.cat([latents[:, :first], shared, latents[:, first + shared.shape[1] :]], dim=1)
        noise = latents
        if self.begun is not None:
            latents = self.begun.tensors["latents"].to(latents)[:, -noise.shape[1] :]  # without a picture beside them
            if GENERATOR in self.begun.tensors:
                arguments["generator"].set_state(self.begun.tensors[GENERATOR])
        if given is not None and self.repaints:
            self._given = given, noise[:, : given.shape[1]]
        if not self.holds:
            return latents, None, video_ids, extra
        mask = torch.zeros(latents.shape[:2], device=latents.device)
        if given is not None and not self.repaints:
            if self.begun is None or not self.level:
                held = noised(given, noise[:, : given.shape[1]], self.level)
                latents = torch.cat([held, latents[:, given.shape[1] :]], dim=1)
            mask[:, : given.shape[1]] = 1.0 - self.level
        if self.ahead is not None:
            follows = self._pack_latents(self.ahead.to(latents), 1, 1)
            latents = torch.cat([latents[:, : -follows.shape[1]], follows], dim=1)
            mask[:, -follows.shape[1] :] = 1.0
        last, beside = video_ids[0, 0, -1], list[tuple[Tensor, Tensor]]()
        if self.recalled is not None:
            place = self.recalled.place + self.first_latent
            beside.append((self.recalled.latent, last.new_tensor(place * frames + 1 - frames if place else 0)))
        if self.keyframe is not None:
            beside.append((self.keyframe, last + frames - 1))
        for latent, frame in beside:
            picture = self._pack_latents(latent.to(latents), 1, 1)
            ids = video_ids[:, :, -picture.shape[1] :].clone()
            ids[:, 0] = frame
            latents = torch.cat([picture, latents], dim=1)
            video_ids = torch.cat([ids, video_ids], dim=2)
            mask = torch.cat([mask.new_ones(picture.shape[:2]), mask], dim=1)
            extra = self.beside = self.beside + picture.shape[1]
        return latents, mask, video_ids, extra
