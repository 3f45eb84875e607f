"""The same work by diffusers itself: its bare pipeline with all weights on the card, its own recipe for little memory,
and its tiled decode.

The recipe joins what diffusers' documentation tells of LTX-Video, of Wan and of reducing memory: weights cast to fp8
layer by layer, group offloading at leaf level with a stream, VAE tiling. It is favoured a little: while it denoises its
VAE is in main memory, and its tiled decode makes a few windows' frames, not the clip's.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from diffusers import LTXConditionPipeline, WanPipeline
from diffusers.schedulers import UniPCMultistepScheduler

from pipeline.gpu.backend import peak_bytes, torch_device, torch_dtype
from pipeline.models.base import VideoModel
from pipeline.models.ltx import timesteps
from pipeline.models.ltx_decoder import DECODE_TIMESTEP
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.spec import Component, Family, ModelSpec, Tail
from tests.bench.gpu.clock import Laps, begin_stage
from tests.bench.gpu.inputs import checkpoint_of, random_latents, sampling_of
from tests.bench.gpu.process import Figures
from tests.bench.gpu.random_weights import RandomCheckpoint

ROUNDS = 2  # of ours and theirs in turn; the shortest step of all rounds counts
TILED_WINDOWS = 2  # of ours; the tiled decode makes as many latents
Denoise = Callable[[Callable[[], None]], object]


def measure_peers(model: VideoModel, plan: DraftPlan) -> Iterator[Figures]:
    """Our step and theirs with resident weights, one after the other in turn; the tiled decode; the recipe."""
    spec, device, checkpoint = plan.spec, plan.memory.device, checkpoint_of(model)
    place, dtype = torch_device(device), torch_dtype(device)
    vae: Any = checkpoint.load(Component.VAE, dtype, place.type)
    yield _resident(
        model, plan, _pipeline(spec, checkpoint, vae, checkpoint.load(Component.TRANSFORMER, dtype, place.type))
    )
    yield _tiled(vae, plan)
    recipe = _pipeline(spec, checkpoint, vae.to("cpu"), _frugal(checkpoint, dtype, place))
    begin_stage(device)
    laps = Laps(device)
    _call(recipe, plan, laps.lap)
    yield {"recipe_step_seconds": laps.shortest, "recipe_peak_bytes": peak_bytes(device)}


def _resident(model: VideoModel, plan: DraftPlan, pipe: Any) -> Figures:
    choice, device = plan.memory.choices[Stage.DENOISE], plan.memory.device
    resident = replace(
        choice, precision=Precision(plan.memory.dtype), placement=Placement.VISITING, parked=False, together=True
    )
    model.follow(dict(plan.memory.choices) | {Stage.DENOISE: resident})
    ways: dict[str, Denoise] = {"our": lambda lap: _ours(model, plan, lap), "bare": lambda lap: _call(pipe, plan, lap)}
    shortest: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, denoise in ways.items():
            begin_stage(device)
            laps = Laps(device)
            denoise(laps.lap)
            shortest[name].append(laps.shortest)
    return {f"{name}_step_seconds": min(seconds) for name, seconds in shortest.items()}


def _ours(model: VideoModel, plan: DraftPlan, lap: Callable[[], None]) -> None:
    model.denoise(plan.chunks[0], sampling_of(plan), tail=None, on_step=lambda *_: lap())


def _frugal(checkpoint: RandomCheckpoint, dtype: torch.dtype, place: torch.device) -> Any:
    transformer: Any = checkpoint.load(Component.TRANSFORMER, dtype, place.type)
    transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
    transformer.enable_group_offload(
        onload_device=place,
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=place.type == "cuda",
    )
    return transformer


def _pipeline(spec: ModelSpec, checkpoint: RandomCheckpoint, vae: Any, transformer: Any) -> Any:
    """A family's own, without its text encoder; of Wan's experts the first."""
    parts = {"vae": vae, "transformer": transformer, "text_encoder": None, "tokenizer": None}
    if spec.family is Family.LTX:
        pipe = LTXConditionPipeline(scheduler=checkpoint.scheduler(), **parts)
    else:
        scheduler = checkpoint.scheduler(UniPCMultistepScheduler, flow_shift=spec.sigma_shift)
        per_token = spec.tail is Tail.LATENTS  # as TI2V-5B is published
        pipe = WanPipeline(scheduler=scheduler, transformer_2=None, expand_timesteps=per_token, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _call(pipe: Any, plan: DraftPlan, lap: Callable[[], None]) -> None:
    """The pipeline's own call, from embeddings to latents; `lap` after each step."""
    spec, request, sampling = plan.spec, plan.request, sampling_of(plan)
    place = torch_device(plan.memory.device)

    def after_step(*_: object) -> dict[str, Any]:
        lap()
        return {}

    negative = sampling.negative or sampling.positive
    arguments: dict[str, Any] = {
        "prompt_embeds": sampling.positive.embeds.to(place),
        "negative_prompt_embeds": negative.embeds.to(place),
    }
    if spec.family is Family.LTX:
        arguments |= {
            "prompt_attention_mask": sampling.positive.mask.to(place),
            "negative_prompt_attention_mask": negative.mask.to(place),
            "frame_rate": spec.fps,
            "timesteps": timesteps(spec, request.steps),
            "image_cond_noise_scale": 0.0,
        }
    pipe(
        width=request.shape.width,
        height=request.shape.height,
        num_frames=spec.frames_of(plan.chunks[0].latents),
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        generator=torch.Generator("cpu").manual_seed(plan.chunks[0].seed),
        output_type="latent",
        return_dict=False,
        callback_on_step_end=after_step,
        **arguments,
    )


def _tiled(vae: Any, plan: DraftPlan) -> Figures:
    """diffusers' tiled decode of a few windows, twice: seconds a frame of the shorter, and the peak."""
    spec, device = plan.spec, plan.memory.device
    place, dtype = torch_device(device), torch_dtype(device)
    count = min(plan.latents, TILED_WINDOWS * spec.decode_window_latents)
    latents = random_latents(plan, count).to(place, dtype)
    timed = getattr(vae.config, "timestep_conditioning", False)
    more = (torch.tensor([DECODE_TIMESTEP], device=place, dtype=dtype),) if timed else ()
    vae.enable_tiling()
    begin_stage(device)
    laps = Laps(device)
    for _ in range(2):
        vae.decode(latents, *more, return_dict=False)
        laps.lap()
    return {
        "tiled_frame_seconds": min(laps.seconds) / spec.frames_of(count),
        "tiled_peak_bytes": peak_bytes(device),
    }
