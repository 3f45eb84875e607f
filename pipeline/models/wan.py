"""Wan2.2 on diffusers' transformer, samplers and VAE: TI2V-5B and the two experts of T2V-A14B.

The denoising loop is Rushes' own, in a page: `WanPipeline` would pass one equal timestep per token to TI2V-5B, which
more than doubles what is live, and it wants both experts at once. Where those do not matter the latents are the
pipelines' own, bit for bit (tests/models/test_wan_pipelines.py).
"""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any, NamedTuple

import torch
from diffusers import WanPipeline
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor, nn

from pipeline.gpu.backend import torch_device, torch_dtype
from pipeline.gpu.loading import Checkpoint, find_checkpoint
from pipeline.gpu.residency import Residency
from pipeline.models.base import Decoder, Frames, Keep, OnStep, Sampling, SamplingState
from pipeline.models.reencoding import decode_end, encode_frames
from pipeline.models.sampler import capture, put_back
from pipeline.models.strength import blend_versions, is_held, noised
from pipeline.models.wan_decoder import WanDecoder
from pipeline.models.windows import average
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import Device, Held
from pipeline.plan.levels import ROUNDING, held_level
from pipeline.plan.memory import Stage
from pipeline.plan.placement import Choice
from pipeline.plan.spec import Component, ModelSpec, Tail
from pipeline.prompt.cache import PromptEmbeds
from pipeline.video.preview import LatentMap

TRAINING_TIMESTEPS = 1000  # noise levels are told to the transformer as 0 to 1000
HELD = (Tail.LATENTS, Tail.FRAMES)  # what is given stays at timestep 0


class Told(NamedTuple):
    """What a window is told besides sentences: the latents at its beginning, which are held at a noise level, and at
    its end; [1, C, f, h, w] each, or None."""

    tail: Tensor | None
    level: float
    ahead: Tensor | None


class WanModel:
    """One Wan checkpoint."""

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        self.spec, self.device = spec, device
        self.checkpoint: Checkpoint = find_checkpoint(spec)
        self.residency = Residency(spec, self.checkpoint, device)
        self._choices: Mapping[Stage, Choice] = {}

    def follow(self, choices: Mapping[Stage, Choice]) -> None:
        """Run each stage as chosen from now on."""
        self.residency.follow(choices)
        self._choices = choices

    # Sentences -------------------------------------------------------------------------------------------------------
    def identity(self) -> str:
        """Names the weights by what is in them."""
        return self.checkpoint.identity(self.spec.networks)

    def encoder_fingerprint(self) -> str:
        """Names the text encoder's weights, and how many tokens it is given."""
        return f"{self.checkpoint.fingerprint(Component.TEXT_ENCODER)}/{self.spec.text_tokens}"

    @torch.no_grad()
    def encode(self, sentences: list[str]) -> list[PromptEmbeds]:
        """Embeddings [1, 512, D] on the CPU, one a sentence."""
        with self.residency.on_device(Component.TEXT_ENCODER) as encoder:
            pipe = WanPipeline(tokenizer=self.checkpoint.tokenizer(), text_encoder=encoder, vae=None, scheduler=None)
            return [self._encode_one(pipe, sentence) for sentence in sentences]

    def _encode_one(self, pipe: WanPipeline, sentence: str) -> PromptEmbeds:
        """One at a time, so that a sentence's embedding never depends on what it is encoded with.

        Wan's transformer sees no mask: it reads all 512 rows, and those without a token are zeros. The mask only says
        how many rows a cache has to keep.
        """
        embeds, _ = pipe.encode_prompt(
            sentence,
            do_classifier_free_guidance=False,
            max_sequence_length=self.spec.text_tokens,
            device=self.residency.place(Component.TEXT_ENCODER),
        )
        embeds = embeds.cpu()
        used = (embeds != 0).any(dim=-1)
        return PromptEmbeds(embeds, used.flip(1).cummax(1).values.flip(1).long())  # up to the last that is not zero

    # Latents ---------------------------------------------------------------------------------------------------------
    @torch.no_grad()
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
        """Latents [1, C, F, h, w] float32 on the CPU; begins with `tail`, bit for bit.

        With less than its full strength the tail is one with what was made of it, models/strength.py.
        """
        where, ratio = torch_device(self.device), self.spec.latent_pixels
        mode = sampling.tail or self.spec.tail
        scheduler = self._scheduler(sampling.steps, mode)
        size = chunk.latents, sampling.shape.height // ratio, sampling.shape.width // ratio
        generator = torch.Generator("cpu").manual_seed(chunk.seed)
        noise = torch.randn(1, self.spec.latent_channels, *size, generator=generator).to(where)
        if sampling.shared_noise is not None:
            shared = sampling.shared_noise.draw(noise.shape[1], *size[1:])
            noise[:, :, chunk.overlap : chunk.overlap + shared.shape[2]] = shared
        given, ahead = (None if part is None else part.to(where, torch.float32) for part in (tail, sampling.ahead))
        level = held_level(scheduler.sigmas[:-1].tolist(), sampling.tail_strength) if given is not None else 0.0
        shown = None if given is None else noised(given, noise[:, :, : chunk.overlap], level)
        texts = [self._on_device(text) for text in (sampling.positive, sampling.negative) if text]
        latents, done = noise, 0
        if resume_from is not None:
            put_back(scheduler, resume_from, where)
            latents, done = resume_from.tensors["latents"].to(where), resume_from.step
        present: dict[Component, nn.Module] = {}
        with ExitStack() as visit:
            for index, time in enumerate(scheduler.timesteps[done:], start=done):
                wanted, guidance = self._expert(float(time), sampling.guidance)
                if wanted not in present:
                    present.clear()
                    visit.close()  # the expert before leaves first, and nothing here holds it
                    present[wanted] = visit.enter_context(self.residency.on_device(wanted))
                sigma = float(scheduler.sigmas[index])
                held = shown if mode in HELD and is_held(sigma, level) else None
                told = Told(held, level, ahead)
                predict = partial(self._flow, present[wanted], time=time, texts=texts, guidance=guidance, told=told)
                parts = (predict(latents[:, :, start:stop]) for start, stop in chunk.windows)
                flow = average(chunk.windows, parts) if chunk.windows else predict(latents)
                del predict
                if level and given is not None and held is not None:  # any sampler brings the tail to that level so
                    flow[:, :, : chunk.overlap] = (latents[:, :, : chunk.overlap] - given) / sigma
                predicted = latents - scheduler.sigmas[index].to(where) * flow
                latents = scheduler.step(flow, time, latents, return_dict=False)[0]
                following = scheduler.sigmas[index + 1].to(where)
                if given is not None and mode is Tail.REPAINT and float(following) >= level - ROUNDING:
                    latents[:, :, : chunk.overlap] = (1 - following) * given + following * noise[:, :, : chunk.overlap]
                if keep is not None:
                    keep(capture(scheduler, index + 1, latents=latents))
                on_step(index + 1, partial(_enclose, predicted, given, ahead))
        if given is not None and level:
            given = blend_versions(given, latents[:, :, : chunk.overlap])
        return _enclose(latents, given, ahead).cpu().contiguous()

    def _scheduler(self, steps: int, mode: Tail) -> Any:
        """The sampler, set to its steps.

        Where the overlap is repainted it is Euler's, which knows no past: UniPC, the checkpoints' own, corrects each
        step by the one before and would pull what is painted back. Elsewhere UniPC: of second order, and it is what
        the model card's settings were chosen with.
        """
        spec, where = self.spec, torch_device(self.device)
        if mode is Tail.REPAINT:
            scheduler = FlowMatchEulerDiscreteScheduler(shift=spec.sigma_shift)
            scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)], device=where)
        else:
            scheduler = self.checkpoint.scheduler(
                UniPCMultistepScheduler,
                prediction_type="flow_prediction",
                use_flow_sigmas=True,
                flow_shift=spec.sigma_shift,
            )
            scheduler.set_timesteps(steps, device=where)
        scheduler.set_begin_index(0)
        return scheduler

    def _expert(self, time: float, guidance: float) -> tuple[Component, float]:
        """Whose turn it is at a timestep, and its guidance."""
        boundary = self.spec.expert_boundary
        if boundary is None or time >= boundary * TRAINING_TIMESTEPS:
            return Component.TRANSFORMER, guidance
        return Component.TRANSFORMER_2, second_guidance(self.spec, guidance)

    def _flow(
        self,
        transformer: nn.Module,
        latents: Tensor,
        time: Tensor,
        texts: list[Tensor],
        guidance: float,
        told: Told,
    ) -> Tensor:
        """What to follow from noise to picture, [1, C, F, h, w] float32; `texts` is the sentence, and the negative one
        where there is guidance, which takes a pass more."""
        times = time.expand(1)
        if told.tail is not None or told.ahead is not None:
            latents = _enclose(latents, told.tail, told.ahead)
            count = latents.shape[2]
            area = latents[0, 0, 0].numel() * self.spec.latent_pixels**2 // self.spec.pixel_multiple**2
            times = time.float().expand(1, count * area).clone()
            if told.tail is not None:
                times[:, : told.tail.shape[2] * area] = told.level * TRAINING_TIMESTEPS
            if told.ahead is not None:
                times[:, -told.ahead.shape[2] * area :] = 0
        inputs = latents.to(torch_dtype(self.device))
        flows: list[Tensor] = [
            transformer(hidden_states=inputs, timestep=times, encoder_hidden_states=text, return_dict=False)[0].float()
            for text in texts
        ]
        if len(flows) == 1:
            return flows[0]
        flow, without = flows
        return without + guidance * (flow - without)

    # Frames ----------------------------------------------------------------------------------------------------------
    def reencode(self, latents: Tensor, count: int) -> Tensor:
        """The end of a timeline as the `count` latents of a clip that begins with its last frames."""
        with self.open_decoder().visit() as decode:
            choice = self._choices.get(Stage.DECODE)
            window = (choice and choice.window_latents) or self.spec.decode_window_latents
            frames = decode_end(decode, latents, count, spec=self.spec, window=window)
        del decode  # it holds the decoder, which leaves before what encodes comes
        return self.encode_frames(frames)

    def encode_frames(self, frames: Frames) -> Tensor:
        """Frames, 4 k + 1 of them, as latents."""
        return encode_frames(self.residency, frames, self._tile_pixels)

    def open_decoder(self) -> Decoder:
        """One that remembers the draft's slices."""
        return WanDecoder(self.residency, latent_pixels=self.spec.latent_pixels, tile_pixels=self._tile_pixels)

    @property
    def _tile_pixels(self) -> int | None:
        choice = self._choices.get(Stage.DECODE)
        return choice.tile_pixels if choice else None

    def preview(self, latents: Tensor) -> Frames | None:
        """Rough frames by the linear map fitted for this VAE, where the checkpoint has one."""
        return self._latent_map.draw(latents) if self._latent_map else None

    # Weights ---------------------------------------------------------------------------------------------------------
    def warm_up(self) -> None:
        """Read transformers and VAE to where they wait."""
        self.residency.warm_up()

    def held(self) -> Held:
        """What it keeps of memory for the next draft."""
        return self.residency.held()

    def _on_device(self, text: PromptEmbeds) -> Tensor:
        return text.embeds.to(torch_device(self.device), torch_dtype(self.device))

    @cached_property
    def _latent_map(self) -> LatentMap | None:
        return LatentMap.load(self.checkpoint.folder / "preview" / "latent_rgb.safetensors")


def second_guidance(spec: ModelSpec, guidance: float) -> float:
    """Guidance of the second expert, in proportion to the first's.

    What is above 1, no guidance, is scaled as the catalog's two values are: the one number that a person sets moves
    both, the default gives both defaults, and 1 is 1 for both.
    """
    if spec.second_guidance is None:
        return guidance
    return 1 + (guidance - 1) * (spec.second_guidance - 1) / (spec.default_guidance - 1)


def _enclose(latents: Tensor, given: Tensor | None, ahead: Tensor | None) -> Tensor:
    """Latents [1, C, F, h, w], a copy where the first and the last ones are replaced by those given."""
    if given is not None:
        latents = torch.cat([given, latents[:, :, given.shape[2] :]], dim=2)
    return latents if ahead is None else torch.cat([latents[:, :, : -ahead.shape[2]], ahead], dim=2)
