"""Everything decided about one draft, before a weight moves. The engine takes nothing else."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.plan.chunks import Chunk, Seam, Slice
from pipeline.plan.coherence import check_chunks, check_slices
from pipeline.plan.device import Device
from pipeline.plan.duration import Forecast
from pipeline.plan.memory import Stage
from pipeline.plan.placement import Budget, Choice
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import GenerationRequest
from pipeline.plan.scenes import find_cuts, plan_all_seams
from pipeline.plan.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Where the draft is computed, how each stage is run, and the proof that it fits.

    `disk_bytes` is what the draft's folder will hold.
    """

    device: Device
    profile: VramProfile
    dtype: str
    choices: Mapping[Stage, Choice]
    disk_bytes: int
    budget: Budget

    @property
    def stage_bytes(self) -> dict[Stage, int]:
        """What each stage needs on the device."""
        return {stage: choice.card_bytes for stage, choice in self.choices.items()}

    @property
    def peak_bytes(self) -> int:
        """The largest stage, on the device."""
        return max(self.stage_bytes.values())

    @property
    def ram_bytes(self) -> int:
        """The largest stage, in main memory."""
        return max(choice.ram_bytes for choice in self.choices.values())

    @property
    def budget_bytes(self) -> int:
        """What may be used on the device."""
        return self.budget.card_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What a draft was made from: its chunks `kept` are those of `draft`, `edit` names what was done to it."""

    draft: str
    edit: str
    kept: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPlan:
    """What is made, in which pieces, where, what it needs, how long it takes and why. Frozen, printable, picklable."""

    request: GenerationRequest
    memory: MemoryPlan
    chunks: tuple[Chunk, ...]
    slices: tuple[Slice, ...]
    forecast: Forecast
    reasons: tuple[str, ...]
    parent: Parent | None = None

    @property
    def spec(self) -> ModelSpec:
        """The catalog entry."""
        return self.request.spec

    @property
    def settings(self) -> dict[str, Any]:
        """What is kept to make it again: the request as plain values, `edited` where that would be another film."""
        return asdict(self.request) | ({"edited": True} if self.parent else {})

    @property
    def latents(self) -> int:
        """Length of the latent timeline."""
        return self.chunks[-1].stop

    @property
    def seams(self) -> tuple[Seam, ...]:
        """Where its chunks meet; not at a cut."""
        return plan_all_seams(self.chunks, self.slices, stride=self.spec.frame_stride)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The first frame after each cut."""
        return find_cuts(self.chunks, stride=self.spec.frame_stride)

    @property
    def guided(self) -> bool:
        """Whether each step also runs without the sentence."""
        return self.request.guidance > 1

    @property
    def sentences(self) -> list[str]:
        """What has to be encoded, in order, each once."""
        negative = [self.request.negative_prompt] if self.guided else []
        return list(dict.fromkeys([*(shot.prompt for shot in self.request.shots), *negative]))

    def latents_shape(self, chunk: Chunk) -> tuple[int, int, int, int, int]:
        """[1, C, F, h, w] of a chunk's latents, which are float32, overlap included."""
        spec, shape = self.spec, self.request.shape
        rows, columns = shape.height // spec.latent_pixels, shape.width // spec.latent_pixels
        return 1, spec.latent_channels, chunk.latents, rows, columns

    def steps_before(self, chunk: int) -> int:
        """Of all chunks before one: those asked for, once for each of a causal model's blocks."""
        return self.request.steps * sum(before.rounds for before in self.chunks[:chunk])

    @staticmethod
    def from_json(text: str | bytes) -> "DraftPlan":
        """The plan that `to_json` wrote. Raises ValueError for anything else, and where its parts do not fit together;
        InvalidRequest for what cannot be asked for."""
        from pydantic import TypeAdapter

        plan = TypeAdapter(DraftPlan).validate_json(text)
        if missing := set(Stage) - set(plan.memory.choices):
            raise ValueError(f"it does not say how {min(missing)} is run")
        check_chunks(plan.chunks, latents=plan.request.latents, shots=len(plan.request.shots))
        check_slices(plan.slices, chunks=len(plan.chunks), latents=plan.latents, frames=plan.request.frames)
        if plan.parent and not set(plan.parent.kept) <= set(range(len(plan.chunks))):
            raise ValueError("it keeps chunks that are not there")
        return plan

    def to_json(self) -> dict[str, Any]:
        """Plain values for `plan.json` and `--json`."""
        values = asdict(self)
        sums = {"stage_bytes": self.memory.stage_bytes, "ram_bytes": self.memory.ram_bytes}
        return values | {"memory": values["memory"] | sums, "peak_bytes": self.memory.peak_bytes}
