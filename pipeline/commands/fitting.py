"""What fits here: every checkpoint in a few sizes of draft, how each is held, what it needs and how long it takes.

Each is planned as the page and the command line would, in the model's own steps. Nothing is downloaded.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pipeline
from pipeline.errors import DoesNotFit, say_bytes
from pipeline.plan.alternatives import ChangeKind, plan_draft, say_seconds
from pipeline.plan.catalog import CATALOG
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import Experience
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import ModelSpec
from pipeline.weights import AbsentWeights, find_absent_weights

SMALL, LARGE = 0.7, 1.5  # of the sides of a model's own picture: half its pixels, and twice, as far as it takes them
SHORT, LONG = 0.5, 2.0  # of its own length
COLUMNS = ("draft", "size", "length", "transformer", "peak card", "peak memory", "chunks", "takes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A draft that fits: how its transformer is held, its largest stages, and the band of its forecast."""

    width: int
    height: int
    frames: int
    length_seconds: float
    precision: Precision
    placement: Placement
    chunks: int
    peak_bytes: int
    ram_bytes: int
    low_seconds: float
    high_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFinding:
    """A size of draft by name. Where it does not fit, `fit` is None, `missing` says what is too small, and `nearest` is
    the change that loses least, if one with the same model fits."""

    name: str
    width: int
    height: int
    length_seconds: float
    fit: Fit | None
    missing: str = ""
    nearest: Fit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFinding:
    """What a catalog entry can do here now; `absent` are the weights that are not here."""

    key: str
    title: str
    steps: int
    drafts: tuple[DraftFinding, ...]
    absent: AbsentWeights

    @property
    def fits(self) -> bool:
        """Whether any draft does, one of those tried or one near them."""
        return any(draft.fit or draft.nearest for draft in self.drafts)


def try_model(
    spec: ModelSpec, device: Device, profile: VramProfile, experience: Callable[[GenerationRequest], Experience]
) -> ModelFinding:
    """Plan a model's drafts, from the least to the most; `experience` is what to forecast a request from."""
    own = pipeline.request("-", model=spec.key, seed=0)
    return ModelFinding(
        key=spec.key,
        title=spec.title,
        steps=own.steps,
        drafts=tuple(_try(name, asked, device, profile, experience(asked)) for name, asked in _sizes(own)),
        absent=find_absent_weights(spec),
    )


def say_models(models: tuple[ModelFinding, ...], device: Device) -> list[str]:
    """A table for a terminal: under each model a line a draft, one more for the nearest where it does not fit."""
    kept = [column for column, name in enumerate(COLUMNS) if name != "peak card" or device.kind is DeviceKind.CUDA]
    found = {model.key: tuple(_rows(model, device)) for model in models if model.fits}
    rows = [COLUMNS, *(row for rows in found.values() for row in rows)]
    widths = [max(len(row[column]) for row in rows if len(row) == len(COLUMNS) or column < 3) for column in kept]
    lines = [_line(COLUMNS, kept, widths)]
    for model in models:
        lines += ["", f"  {model.title}, {model.steps} steps; {_say_weights(model.absent)}"]
        if model.fits:
            lines += [_line(row, kept, widths) for row in found[model.key]]
        else:
            lines.append(f"    none fits: {model.drafts[0].missing}")
    return lines


def _sizes(own: GenerationRequest) -> Iterator[tuple[str, GenerationRequest]]:
    """Names and requests; none twice, where a model's own picture is its largest."""
    spec, frames = CATALOG[own.model], own.frames
    small, large = (spec.scaled(own.shape, scale) for scale in (SMALL, LARGE))
    yield "small", replace(own, shape=small, frames=spec.nearest_frames(SHORT * frames))
    yield "its own", own
    if large != own.shape:
        yield "large", replace(own, shape=large)
    yield "long", replace(own, frames=spec.nearest_frames(LONG * frames))


def _try(
    name: str, asked: GenerationRequest, device: Device, profile: VramProfile, experience: Experience
) -> DraftFinding:
    fit = nearest = None
    missing = ""
    try:
        fit = _fit(plan_draft(asked, device, profile, experience))
    except DoesNotFit as error:
        need, allowed = say_bytes(error.need_bytes), say_bytes(error.budget_bytes)
        missing = f"{error.stage} needs {need} of {error.where}, {allowed} are allowed"
        change = next((change for change in error.changes if change.kind is not ChangeKind.MODEL), None)
        nearest = _fit(change.plan) if change else None
    return DraftFinding(
        name=name,
        width=asked.shape.width,
        height=asked.shape.height,
        length_seconds=asked.seconds,
        fit=fit,
        missing=missing,
        nearest=nearest,
    )


def _fit(plan: DraftPlan) -> Fit:
    asked, choice = plan.request, plan.memory.choices[Stage.DENOISE]
    return Fit(
        width=asked.shape.width,
        height=asked.shape.height,
        frames=asked.frames,
        length_seconds=asked.seconds,
        precision=choice.precision,
        placement=choice.placement,
        chunks=len(plan.chunks),
        peak_bytes=plan.memory.peak_bytes,
        ram_bytes=plan.memory.ram_bytes,
        low_seconds=plan.forecast.low_seconds,
        high_seconds=plan.forecast.high_seconds,
    )


def _rows(model: ModelFinding, device: Device) -> Iterator[tuple[str, ...]]:
    """Cells; of a draft that does not fit the first three, and why."""
    for draft in model.drafts:
        size = _say_size(draft.width, draft.height, draft.length_seconds)
        if draft.fit:
            yield draft.name, *size, *_cells(draft.fit, device)
        else:
            yield draft.name, *size, f"does not fit: {draft.missing}"
        if near := draft.nearest:
            yield "  nearest", *_say_size(near.width, near.height, near.length_seconds), *_cells(near, device)


def _cells(fit: Fit, device: Device) -> tuple[str, ...]:
    where = "on the card" if device.kind is DeviceKind.CUDA else "in main memory"
    held = f"{fit.precision} {'streamed from main memory' if fit.placement is Placement.STREAMED else where}"
    takes = f"{say_seconds(fit.low_seconds)} to {say_seconds(fit.high_seconds)}"
    return held, say_bytes(fit.peak_bytes), say_bytes(fit.ram_bytes), str(fit.chunks), takes


def _say_size(width: int, height: int, seconds: float) -> tuple[str, str]:
    return f"{width}x{height}", f"{seconds:.1f} s"


def _say_weights(absent: AbsentWeights) -> str:
    if not absent.components:
        return "its weights are here"
    return f"{say_bytes(absent.download_bytes)} to get: {' && '.join(absent.commands)}"


def _line(row: tuple[str, ...], kept: list[int], widths: list[int]) -> str:
    whole = len(row) == len(COLUMNS)
    cells, reason = (tuple(row[column] for column in kept), ()) if whole else (row[:3], row[3:])
    return "    " + "  ".join((*map(str.ljust, cells, widths), *reason)).rstrip()
