"""How much memory a request needs, stage by stage, and whether it fits. Arithmetic only.

The three stages never overlap (gpu/residency.py), so the need of a draft is the largest of them, not their sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import DoesNotFit
from pipeline.plan.catalog import Component, ModelSpec, VideoShape
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.presets import VramProfile

CUDA_CONTEXT_BYTES = 2**29  # kernels and driver state of one process: about 0.5 GiB
ALLOCATOR_SLACK = 1.10  # a caching allocator keeps about a tenth more than is live
BF16_BYTES = 2


class Stage(StrEnum):
    """What the device is busy with; stages follow one another."""

    ENCODE = "encode"
    DENOISE = "denoise"
    DECODE = "decode"


COMPONENT_OF = {
    Stage.ENCODE: Component.TEXT_ENCODER,
    Stage.DENOISE: Component.TRANSFORMER,
    Stage.DECODE: Component.VAE,
}


def say_bytes(count: int) -> str:
    """For people: `412 MiB`, `9.1 GiB`."""
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Where the draft is computed, in which precision, and the proof that it fits.

    `stage_bytes` is what each stage needs on the device, `budget_bytes` what it may use.
    """

    device: Device
    profile: str
    dtype: str
    stage_bytes: Mapping[Stage, int]
    budget_bytes: int

    @property
    def peak_bytes(self) -> int:
        """The largest stage."""
        return max(self.stage_bytes.values())


def plan_memory(
    spec: ModelSpec, shape: VideoShape, *, chunk_latents: int, guided: bool, device: Device, profile: VramProfile
) -> MemoryPlan:
    """Place a request on a device.

    Args:
        chunk_latents: latents of the longest chunk.
        guided: whether each step runs the transformer for the sentence and for its absence, as one batch of two.

    Raises:
        DoesNotFit: with the stage, its need and the budget.
    """
    memory = MemoryPlan(
        device=device,
        profile=profile.key,
        dtype=device.dtype,
        stage_bytes={
            stage: _stage_bytes(stage, spec, shape, chunk_latents=chunk_latents, guided=guided, device=device)
            for stage in Stage
        },
        budget_bytes=budget_bytes(device, profile),
    )
    for stage, need in memory.stage_bytes.items():
        if need > memory.budget_bytes:
            raise DoesNotFit(stage, need, memory.budget_bytes, _nearest_that_fits(spec, shape, stage))
    return memory


def budget_bytes(device: Device, profile: VramProfile) -> int:
    """What may be used: what is free now less the reserve, and never more than the profile allows."""
    limit = profile.card_gib if device.kind is DeviceKind.CUDA else profile.ram_gib
    free = device.free_bytes - int(profile.reserve_gib * 2**30)
    return max(0, min(free, int(limit * 2**30)) if limit is not None else free)


def _stage_bytes(
    stage: Stage, spec: ModelSpec, shape: VideoShape, *, chunk_latents: int, guided: bool, device: Device
) -> int:
    scale = device.bytes_per_weight / BF16_BYTES  # the catalog's activation constants are in bf16
    weights = spec.parameters[COMPONENT_OF[stage]] * device.bytes_per_weight
    passes = 2 if guided else 1
    match stage:
        case Stage.ENCODE:
            activations = 32.0 * passes * spec.text_tokens * spec.text_width * scale
        case Stage.DENOISE:
            tokens = spec.tokens_of(shape, chunk_latents)
            activations = spec.denoise_bytes_per_token_channel * passes * tokens * spec.width * scale
        case Stage.DECODE:
            frames = spec.frames_of(min(chunk_latents, spec.decode_window_latents))
            activations = spec.decode_bytes_per_pixel * frames * shape.width * shape.height * scale
    context = CUDA_CONTEXT_BYTES if device.kind is DeviceKind.CUDA else 0
    return int((weights + activations) * ALLOCATOR_SLACK) + context


def _nearest_that_fits(spec: ModelSpec, shape: VideoShape, stage: Stage) -> str:
    if stage is Stage.DECODE and shape.width * shape.height > spec.smallest_side_pixels**2:
        return "A smaller picture needs less."
    return "Choose a profile with more memory, close other programs, or use the miniature."
