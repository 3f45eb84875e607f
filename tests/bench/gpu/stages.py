"""What a row's process measures: rates, a draft's stages as they were planned for a card, or what others make of it."""

from collections.abc import Iterator
from dataclasses import asdict
from shutil import disk_usage
from unittest.mock import patch

import torch
from huggingface_hub import constants

from pipeline.errors import OutOfMemory, say_bytes
from pipeline.gpu.backend import peak_bytes
from pipeline.gpu.rates import measure_rates
from pipeline.models.base import VideoModel
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage, weight_bytes
from pipeline.plan.spec import Component
from tests.bench.gpu.clock import (
    Laps,
    begin_stage,
    context_bytes,
    hold_to,
    host_peak_bytes,
    live_peak_bytes,
    pinned_peak_bytes,
)
from tests.bench.gpu.inputs import checkpoint_of, is_finite, random_latents, sampling_of
from tests.bench.gpu.peers import measure_peers
from tests.bench.gpu.process import FAILED, Figures, Job, Task
from tests.bench.gpu.random_weights import open_random
from tests.bench.gpu.rows import SENTENCE, cap_bytes

WINDOWS = 2  # of the decoder: the first warms up, the last counts
SPARE_DISK_BYTES = 2**31  # left free when files are written


@torch.no_grad()
def measure(job: Job) -> Iterator[Figures]:
    """Figures as they are found."""
    if job.task is Task.RATES:
        yield asdict(measure_rates(job.device, job.folder)) | {"torch": torch.__version__}
        return
    assert job.plan is not None
    model = open_random(job.plan.spec, job.plan.memory.device, job.folder / "checkpoint")
    with patch.object(constants, "HF_HUB_CACHE", str(job.folder / "kept")):
        if job.task is Task.PEERS:
            yield from measure_peers(model, job.plan)
            return
        hold_to(job.device, cap_bytes(job.plan))
        model.follow(job.plan.memory.choices)
        for stage in job.stages:
            try:
                yield {stage: measure_stage(stage, model, job.plan)}
            except OutOfMemory as error:
                yield {stage: {"exhausted": True}, FAILED: error.message}
        yield {"context_bytes": context_bytes(job.device)}


def measure_stage(stage: Stage, model: VideoModel, plan: DraftPlan) -> Figures:
    """Run a stage as it was chosen. Raises OutOfMemory."""
    device = plan.memory.device
    begin_stage(device)
    match stage:
        case Stage.ENCODE:
            found = encode(model, plan)
        case Stage.DENOISE:
            found = denoise(model, plan)
        case Stage.DECODE:
            found = decode(model, plan)
    return found | {
        "peak_bytes": peak_bytes(device),
        "live_bytes": live_peak_bytes(device),
        "host_bytes": host_peak_bytes(),
        "pinned_bytes": pinned_peak_bytes(device),
    }


def encode(model: VideoModel, plan: DraftPlan) -> Figures:
    """One sentence; for a text encoder that is streamed from disk the files are written first."""
    checkpoint = checkpoint_of(model)
    if plan.memory.choices[Stage.ENCODE].placement is Placement.STREAMED:
        need = weight_bytes(plan.spec.text_encoder, Precision(plan.memory.dtype)) + SPARE_DISK_BYTES
        free = disk_usage(checkpoint.folder).free
        if need > free:
            return {"skipped": f"its files need {say_bytes(need)} of disk, {say_bytes(free)} are free"}
        checkpoint.write(Component.TEXT_ENCODER)
    laps = Laps(plan.memory.device)
    (embeds,) = model.encode([SENTENCE])
    laps.lap()
    return {"seconds": laps.seconds[0], "finite": is_finite(embeds.embeds)}


def denoise(model: VideoModel, plan: DraftPlan) -> Figures:
    """The first chunk, in as many steps as the plan has."""
    laps = Laps(plan.memory.device)
    latents = model.denoise(plan.chunks[0], sampling_of(plan), tail=None, on_step=lambda *_: laps.lap())
    return {"step_seconds": laps.shortest, "steps_seconds": laps.seconds, "finite": is_finite(latents)}


def decode(model: VideoModel, plan: DraftPlan) -> Figures:
    """The first windows of a draft; seconds a frame of the last of them."""
    pieces = plan.slices[:WINDOWS]
    latents = random_latents(plan, pieces[-1].stop)
    with model.open_decoder().visit() as frames_of:
        laps = Laps(plan.memory.device)
        for piece in pieces:
            frames_of(latents[:, :, piece.start : piece.stop])
            laps.lap()
    return {"frame_seconds": laps.seconds[-1] / pieces[-1].frames, "windows_seconds": laps.seconds}
