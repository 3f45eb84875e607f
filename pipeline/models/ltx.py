"""LTX-Video and everything built like it, the miniature included, through diffusers' `LTXConditionPipeline`."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cached_property, partial

import numpy as np
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKLLTXVideo, LTXConditionPipeline
from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule
from torch import Tensor, nn

from pipeline.gpu.backend import torch_device, torch_dtype
from pipeline.gpu.loading import Checkpoint, find_checkpoint
from pipeline.gpu.residency import Residency
from pipeline.models.base import Frames, Keep, OnStep, Sampling, SamplingState
from pipeline.models.guidance import one_after_the_other, unguided_at_first
from pipeline.models.ltx_decoder import WindowDecoder
from pipeline.models.ltx_pipeline import ContinuedPipeline
from pipeline.models.reencoding import decode_end, encode_frames
from pipeline.models.sampler import capture
from pipeline.models.strength import blend_versions
from pipeline.models.windows import in_windows
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import Device, Held
from pipeline.plan.levels import held_level
from pipeline.plan.memory import Stage
from pipeline.plan.placement import Choice
from pipeline.plan.spec import Component, ModelSpec, SigmaSchedule, Tail
from pipeline.prompt.cache import PromptEmbeds
from pipeline.video.preview import LatentMap

# The pipeline hands its timesteps to the scheduler, which then warns at every chunk that it may shift the sigmas; LTX's
# and the miniature's schedulers have a shift of 1, which changes nothing.
logging.getLogger("diffusers.schedulers.scheduling_flow_match_euler_discrete").setLevel(logging.ERROR)


class LTXModel:
    """One LTX-like checkpoint."""

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        self.spec, self.device = spec, device
        self.checkpoint: Checkpoint = find_checkpoint(spec)
        self.residency = Residency(spec, self.checkpoint, device)
        self._choices: Mapping[Stage, Choice] = {}

    def follow(self, choices: Mapping[Stage, Choice]) -> None:
        """Run each stage as chosen from now on."""
        self.residency.follow(choices)
        self._choices = choices

    def identity(self) -> str:
        """Names the weights by what is in them."""
        return self.checkpoint.identity(self.spec.networks)

    def encoder_fingerprint(self) -> str:
        """Names the text encoder's weights, and how many tokens it is given."""
        return f"{self.checkpoint.fingerprint(Component.TEXT_ENCODER)}/{self.spec.text_tokens}"

    def encode(self, sentences: list[str]) -> list[PromptEmbeds]:
        """Embeddings [1, T, D] on the CPU, one a sentence."""
        with self.residency.on_device(Component.TEXT_ENCODER) as encoder:
            pipe = LTXConditionPipeline(
                scheduler=self.checkpoint.scheduler(),
                vae=None,
                text_encoder=encoder,
                tokenizer=self.checkpoint.tokenizer(),
                transformer=None,
            )
            return [self._encode_one(pipe, sentence) for sentence in sentences]

    @torch.no_grad()
    def _encode_one(self, pipe: LTXConditionPipeline, sentence: str) -> PromptEmbeds:
        """One at a time, so that a sentence's embedding never depends on what it is encoded with."""
        embeds, mask, _, _ = pipe.encode_prompt(
            sentence,
            do_classifier_free_guidance=False,
            max_sequence_length=self.spec.text_tokens,
            device=self.residency.place(Component.TEXT_ENCODER),
        )
        padding = ~mask.bool()[..., None]
        return PromptEmbeds(embeds.masked_fill(padding, 0).cpu(), mask.cpu().long())  # as the cache gives it back

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
        """Latents [1, C, F, h, w] float32 on the CPU; begins with `tail`, ends with what is ahead, bit for bit.

        With less than its full strength the tail is one with what was made of it, models/strength.py.
        """
        shape, spec = sampling.shape, self.spec
        scheduler, generator = self.checkpoint.scheduler(), torch.Generator("cpu").manual_seed(chunk.seed)
        draws = bool(scheduler.config.stochastic_sampling)
        if draws:  # the pipeline would have it draw from whatever torch drew from last
            scheduler.step = partial(scheduler.step, generator=generator)
        done = 0 if resume_from is None else resume_from.step
        size = shape.height // spec.pixel_multiple, shape.width // spec.pixel_multiple

        def after_step(pipe: ContinuedPipeline, index: int, _: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            def clean() -> Tensor:
                sigma = pipe.scheduler.sigmas[index + 1].to(tensors["latents"])
                packed = (tensors["latents"] - sigma * tensors["noise_pred"])[:, pipe.beside :]
                latents: Tensor = pipe._unpack_latents(packed, chunk.latents, *size)
                if tail is not None:
                    latents[:, :, : tail.shape[2]] = tail.to(latents)
                if sampling.ahead is not None:
                    latents[:, :, -sampling.ahead.shape[2] :] = sampling.ahead.to(latents)
                return latents

            step, latents = done + index + 1, pipe.repaint(tensors["latents"], pipe.scheduler.sigmas[index + 1])
            if keep is not None:
                keep(capture(scheduler, step, generator=generator if draws else None, latents=latents))
            on_step(step, clean)
            return {"latents": latents}

        mode, times = sampling.tail or spec.tail, timesteps(spec, sampling.steps)
        level = held_level([time / 1000 for time in times], sampling.tail_strength) if tail is not None else 0.0
        together = Stage.DENOISE not in self._choices or self._choices[Stage.DENOISE].together
        guided = sampling.negative is not None and sampling.guidance > 1
        unguided = sampling.steps - round(sampling.guided_share * sampling.steps)
        with (
            self.residency.on_device(Component.TRANSFORMER) as transformer,
            nullcontext() if together else one_after_the_other(transformer),
            in_windows(transformer, chunk.windows),
            unguided_at_first(transformer, unguided - done) if guided and unguided > done else nullcontext(),
        ):
            pipe = ContinuedPipeline(
                scheduler=scheduler,
                vae=self._vae_description,
                text_encoder=None,
                tokenizer=None,
                transformer=transformer,
            )
            pipe.set_progress_bar_config(disable=True)
            pipe.tail, pipe.ahead, pipe.repaints = tail, sampling.ahead, mode is Tail.REPAINT
            pipe.keyframe, pipe.recalled = sampling.keyframe, sampling.recalled
            pipe.begun, pipe.shared_noise, pipe.level = resume_from, sampling.shared_noise, level
            # Frames are encoded as a clip of their own
            pipe.first_latent = 0 if mode is Tail.FRAMES else chunk.start - chunk.scene_start
            positive, negative = sampling.positive, sampling.negative or sampling.positive
            where, dtype = torch_device(self.device), torch_dtype(self.device)
            latents: Tensor = pipe(
                image=torch.zeros(1, 3, shape.height, shape.width) if pipe.holds else None,
                image_cond_noise_scale=0.0,
                width=shape.width,
                height=shape.height,
                num_frames=spec.frames_of(chunk.latents),
                frame_rate=spec.fps,
                # Euler's sampler knows no past: with the steps that are left it does what it would have done
                num_inference_steps=sampling.steps - done,
                timesteps=times[done:],
                guidance_scale=sampling.guidance if sampling.negative else 1.0,
                generator=generator,
                prompt_embeds=positive.embeds.to(where, dtype),
                prompt_attention_mask=positive.mask.to(where),
                negative_prompt_embeds=negative.embeds.to(where, dtype),
                negative_prompt_attention_mask=negative.mask.to(where),
                output_type="latent",
                return_dict=False,
                callback_on_step_end=after_step,
                callback_on_step_end_tensor_inputs=["latents", "noise_pred"],
            )[0]
        latents = latents.float().cpu().contiguous()
        if tail is not None and level:
            latents[:, :, : chunk.overlap] = blend_versions(tail, latents[:, :, : chunk.overlap])
        return latents

    def reencode(self, latents: Tensor, count: int) -> Tensor:
        """The end of a timeline as the `count` latents of a clip that begins with its last frames."""
        with self.open_decoder().visit() as decode:
            choice = self._choices.get(Stage.DECODE)
            window = (choice and choice.window_latents) or self.spec.decode_window_latents
            frames = decode_end(decode, latents, count, spec=self.spec, window=window)
        del decode  # it holds the decoder, which leaves before what encodes comes
        return self.encode_frames(frames)

    def encode_frames(self, frames: Frames) -> Tensor:
        """Frames, 8 k + 1 of them, as latents."""
        choice = self._choices.get(Stage.DECODE)
        return encode_frames(self.residency, frames, choice.tile_pixels if choice else None)

    def open_decoder(self) -> "WindowDecoder":
        """One that remembers nothing, so that the same one could serve every draft."""
        choice = self._choices.get(Stage.DECODE)
        return WindowDecoder(self.residency, choice.tile_pixels if choice else None)

    def preview(self, latents: Tensor) -> Frames | None:
        """Rough frames by the linear map fitted for this VAE, where the checkpoint has one."""
        return self._latent_map.draw(latents) if self._latent_map else None

    def warm_up(self) -> None:
        """Read transformer and VAE to where they wait."""
        self.residency.warm_up()

    def held(self) -> Held:
        """What it keeps of memory for the next draft."""
        return self.residency.held()

    @cached_property
    def _vae_description(self) -> nn.Module:
        """The VAE without weights: the pipeline reads its grid and precision from it."""
        config = AutoencoderKLLTXVideo.load_config(self.checkpoint.folder / Component.VAE)
        with init_empty_weights():
            described: nn.Module = AutoencoderKLLTXVideo.from_config(config)
        return described

    @cached_property
    def _latent_map(self) -> LatentMap | None:
        return LatentMap.load(self.checkpoint.folder / "preview" / "latent_rgb.safetensors")


def timesteps(spec: ModelSpec, steps: int) -> list[float]:
    """Timesteps from 1000 down to above 0, as a list: the scheduler takes a tensor only with a warning."""
    if spec.sigma_schedule is SigmaSchedule.LINEAR_QUADRATIC:
        own: list[float] = (1000 * linear_quadratic_schedule(steps)).tolist()
        return own
    if spec.sigma_schedule is SigmaSchedule.LISTED:
        places = np.linspace(0, len(spec.timesteps) - 1, steps)
        between: list[float] = np.interp(places, range(len(spec.timesteps)), spec.timesteps).tolist()
        return between
    even = [1 - index / steps for index in range(steps)]
    return [1000 * spec.sigma_shift * sigma / (1 + (spec.sigma_shift - 1) * sigma) for sigma in even]
