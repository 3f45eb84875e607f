"""Everything decided about one draft, before a weight moves. The engine takes nothing else."""

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.errors import DoesNotFit
from pipeline.plan.catalog import ModelSpec
from pipeline.plan.chunks import Chunk, Slice, plan_chunks, plan_slices
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.duration import Forecast, forecast_duration
from pipeline.plan.memory import MemoryPlan, Stage, plan_memory, say_bytes
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPlan:
    """What is made, in which pieces, where, what it needs and why. Frozen, printable, picklable."""

    request: GenerationRequest
    memory: MemoryPlan
    chunks: tuple[Chunk, ...]
    slices: tuple[Slice, ...]
    forecast: Forecast
    reasons: tuple[str, ...]

    @property
    def spec(self) -> ModelSpec:
        """The catalog entry."""
        return self.request.spec

    @property
    def latents(self) -> int:
        """Length of the latent timeline."""
        return self.chunks[-1].stop

    @property
    def guided(self) -> bool:
        """Whether each step also runs without the sentence."""
        return self.request.guidance > 1

    def to_json(self) -> dict[str, Any]:
        """Plain values for `plan.json` and `--json`."""
        return asdict(self) | {"peak_bytes": self.memory.peak_bytes}


def plan_draft(request: GenerationRequest, device: Device, profile: VramProfile) -> DraftPlan:
    """Decide everything. Deterministic in its arguments.

    Raises:
        DoesNotFit: when even the shortest chunk needs more than the profile allows.
        InvalidRequest: when the overlap leaves nothing new in a chunk.
    """
    spec = request.spec
    if not profile.use_card and device.kind is not DeviceKind.CPU:
        raise ValueError("a profile without a card needs the processor's Device")
    guided = request.guidance > 1
    overlap = spec.latents_of(spec.overlap_frames if request.overlap_frames is None else request.overlap_frames)
    wanted = spec.latents_of(spec.native_frames if request.chunk_frames is None else request.chunk_frames)
    total = spec.latents_of(request.frames)
    longest, memory, reasons = _longest_that_fits(request, device, profile, min(wanted, total), overlap)
    chunks = plan_chunks(
        total,
        longest=max(longest, overlap + 1),
        overlap=overlap,
        seed=request.seed,
        shot_stops=_shot_stops(request, total),
    )
    slices = plan_slices(chunks, window=min(spec.decode_window_latents, total), stride=spec.frame_stride)
    forecast = forecast_duration(
        spec, request.shape, chunks=chunks, slices=slices, steps=request.steps, guided=guided, device=device
    )
    return DraftPlan(
        request=request,
        memory=memory,
        chunks=chunks,
        slices=slices,
        forecast=forecast,
        reasons=(*_reasons(request, memory, chunks), *reasons),
    )


def _longest_that_fits(
    request: GenerationRequest, device: Device, profile: VramProfile, wanted: int, overlap: int
) -> tuple[int, MemoryPlan, tuple[str, ...]]:
    """The longest chunk within the budget, from `wanted` downwards, with its memory and why it is not `wanted`.

    Every chunk adds something to its overlap; a draft that is itself no longer than an overlap is tried whole.
    """
    spec = request.spec
    shortest = min(wanted, overlap + 1)
    for longest in range(wanted, shortest - 1, -1):
        try:
            memory = plan_memory(
                spec,
                request.shape,
                chunk_latents=longest,
                guided=request.guidance > 1,
                device=device,
                profile=profile,
            )
        except DoesNotFit as error:
            if longest == shortest:
                raise
            refusal = str(error)
            continue
        if longest == wanted:
            return longest, memory, ()
        return longest, memory, (f"Chunks of {spec.frames_of(longest)} frames instead of more: {refusal}",)
    raise AssertionError("the shortest chunk either fits or raises")


def _shot_stops(request: GenerationRequest, total: int) -> tuple[int, ...]:
    seconds = [shot.seconds for shot in request.shots]
    passed = [sum(seconds[: index + 1]) / sum(seconds) for index in range(len(seconds))]
    return (*(round(share * total) for share in passed[:-1]), total)


def _reasons(request: GenerationRequest, memory: MemoryPlan, chunks: tuple[Chunk, ...]) -> tuple[str, ...]:
    spec, stages = request.spec, memory.stage_bytes
    saved = sum(stages.values()) - memory.peak_bytes
    lines = [
        f"Computed on {memory.device.name} in {memory.dtype}.",
        f"Text encoder, transformer and VAE are there one at a time: saves {say_bytes(saved)}.",
    ]
    if len(chunks) == 1:
        lines.append(f"{request.frames} frames are within the model's native length: one chunk, no seams.")
    else:
        shared = spec.frames_of(chunks[1].overlap)
        lines.append(
            f"{len(chunks)} chunks of at most {spec.frames_of(max(chunk.latents for chunk in chunks))} frames, each "
            f"continuing from the last {shared} of the one before."
        )
    largest = max(Stage, key=lambda stage: stages[stage])
    lines.append(
        f"The {largest} stage is the largest: {say_bytes(memory.peak_bytes)} of {say_bytes(memory.budget_bytes)}."
    )
    return tuple(lines)
