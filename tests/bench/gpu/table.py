"""Figures as Markdown: one line a row, each ratio with its target met or missed."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Stage
from pipeline.plan.rates import Rates
from tests.bench.gpu.process import FAILED, Figures
from tests.bench.gpu.rows import GIB, Row, forecast_bytes, sees_both_experts

PEER_COLUMNS = (
    "model, size, frames",
    "our step",
    "÷ bare pipeline's",
    "of matrix product",
    "recipe's step",
    "its peak",
    "tiled decode",
    "its peak",
    "",
)
CARD_COLUMNS = (
    "model, size, frames",
    "card",
    "transformer",
    "encode: peak ÷ forecast",
    "denoise: peak ÷ forecast",
    "decode: peak ÷ forecast",
    "main memory ÷ forecast",
    "our step",
    "÷ resident",
    "of matrix product",
    "decode: time ÷ tiled",
    "memory ÷ tiled",
    "peak ÷ recipe's",
    "step ÷ recipe's",
    "",
)
NONE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Between which values a ratio should lie."""

    least: float = 0.0
    most: float = float("inf")

    def judge(self, value: float) -> str:
        """The value and whether it does, as printed."""
        shown = round(value, 3)
        return f"{shown:.3f} {'met' if self.least <= shown <= self.most else 'missed'}"


PEAK = Target(least=0.90, most=1.05)
BARE = Target(most=1.01)
RESIDENT = Target(most=1.05)
PRODUCT = Target(least=0.60)
TILED_TIME = Target(most=0.70)
TILED_MEMORY = Target(most=1.0)
RECIPE_PEAK = Target(most=0.65)
RECIPE_STEP = Target(most=1.05)


def line(cells: tuple[str, ...]) -> str:
    """Of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def heading(columns: tuple[str, ...]) -> str:
    """Of a Markdown table."""
    return f"{line(columns)}\n{'|---' * len(columns)}|"


def peer_cells(row: Row, plan: DraftPlan, peers: Figures, rates: Rates) -> tuple[str, ...]:
    """A line of the first table; what is missing is a dash."""
    ours, bare = peers.get("our_step_seconds"), peers.get("bare_step_seconds")
    return (
        row.name,
        _seconds(ours),
        BARE.judge(ours / bare) if ours and bare else NONE,
        PRODUCT.judge(_share(plan, ours, rates)) if ours else NONE,
        _seconds(peers.get("recipe_step_seconds")),
        _gib(peers.get("recipe_peak_bytes")),
        f"{1000 * peers['tiled_frame_seconds']:.0f} ms a frame" if "tiled_frame_seconds" in peers else NONE,
        _gib(peers.get("tiled_peak_bytes")),
        peers.get(FAILED, ""),
    )


def card_cells(
    row: Row, plan: DraftPlan, stages: Mapping[Stage, Figures], peers: Figures, rates: Rates, *, smallest: bool
) -> tuple[str, ...]:
    """A line of the second table but for its last cell. Only the smallest card of a draft is to beat the recipe's
    memory: larger ones are there to be used."""
    choice = plan.memory.choices[Stage.DENOISE]
    denoise, decode = (stages.get(stage, {}) for stage in (Stage.DENOISE, Stage.DECODE))
    step, frame = denoise.get("step_seconds"), decode.get("frame_seconds")
    ours = _largest(denoise.get("peak_bytes"), decode.get("peak_bytes"))
    theirs = _largest(peers.get("recipe_peak_bytes"), peers.get("tiled_peak_bytes"))
    recipe_step, tiled = peers.get("recipe_step_seconds"), peers.get("tiled_frame_seconds")
    tiled_peak, decode_peak = peers.get("tiled_peak_bytes"), decode.get("peak_bytes")
    return (
        row.name,
        f"{row.card_gib} GB",
        f"{choice.precision}{' streamed' if choice.placement is Placement.STREAMED else ''}",
        *(_peak(stages.get(stage, {}), plan, stage) for stage in Stage),
        _main_memory(row, plan, denoise),
        _seconds(step),
        _beside_resident(plan, step, peers.get("our_step_seconds"), rates),
        PRODUCT.judge(_share(plan, step, rates)) if step else NONE,
        TILED_TIME.judge(frame / tiled) if frame and tiled else NONE,
        TILED_MEMORY.judge(decode_peak / tiled_peak) if decode_peak and tiled_peak else NONE,
        _judge_if(smallest, RECIPE_PEAK, ours / theirs) if ours and theirs else NONE,
        _judge_if(smallest, RECIPE_STEP, step / recipe_step) if step and recipe_step else NONE,
    )


def _peak(figures: Figures, plan: DraftPlan, stage: Stage) -> str:
    if "skipped" in figures:
        return f"not run: {figures['skipped']}"
    if "exhausted" in figures:
        return "ran out of memory"
    if "peak_bytes" not in figures:
        return NONE
    measured, forecast = figures["peak_bytes"], forecast_bytes(plan, stage)
    return f"{measured / GIB:.2f} ÷ {forecast / GIB:.2f} GiB = {PEAK.judge(measured / forecast)}"


def _main_memory(row: Row, plan: DraftPlan, denoise: Figures) -> str:
    if not denoise.get("host_bytes"):
        return NONE
    measured, forecast = denoise["host_bytes"], plan.memory.choices[Stage.DENOISE].ram_bytes
    part = "" if sees_both_experts(row.spec, row.steps) else ", one expert of two"
    pinned = denoise["pinned_bytes"] / GIB
    locked = f", page-locked {pinned:.1f}" if pinned else ""
    return f"{measured / GIB:.1f} ÷ {forecast / GIB:.1f} GiB = {measured / forecast:.2f}{part}{locked}"


def _share(plan: DraftPlan, step: float, rates: Rates) -> float:
    """Of a large matrix product's rate."""
    tokens = plan.spec.tokens_of(plan.request.shape, plan.chunks[0].latents)
    operations = (2 if plan.guided else 1) * plan.spec.transformer.operations(tokens)
    return operations / step / rates.operations_per_second


def _beside_resident(plan: DraftPlan, step: float | None, resident: float | None, rates: Rates) -> str:
    """Streaming is to be hidden where weights arrive sooner than they are computed with (above N*); else it is told
    how long they take."""
    if not step or not resident:
        return NONE
    choice = plan.memory.choices[Stage.DENOISE]
    if choice.placement is not Placement.STREAMED:
        return f"{step / resident:.2f}"
    together = plan.spec.batched_guidance and choice.together
    trips = 2 if plan.guided and not together else 1
    copying = trips * choice.moved_bytes / rates.bus_bytes_per_second
    if copying <= resident:
        return RESIDENT.judge(step / resident)
    return f"{step / resident:.2f}, copying alone {copying / resident:.2f}"


def _judge_if(judged: bool, target: Target, value: float) -> str:
    return target.judge(value) if judged else f"{value:.2f}"


def _largest(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f} s"


def _gib(value: int | None) -> str:
    return NONE if value is None else f"{value / GIB:.2f} GiB"
