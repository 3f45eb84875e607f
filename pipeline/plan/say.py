"""A plan in words and in plain values: what the command line prints."""

from typing import Any

from pipeline.errors import say_bytes
from pipeline.plan.alternatives import Change, offer_faster, say_seconds
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import Experience


def plan_as_text(plan: DraftPlan, experience: Experience | None = None) -> str:
    """Stages, peak, seconds, chunks, reasons, and what to change where it is slow; a line each.

    `experience` is what the plan was forecast from.
    """
    request, memory, forecast = plan.request, plan.memory, plan.forecast
    lines = [
        f"{plan.spec.title}, {request.shape.width}x{request.shape.height}, {request.frames} frames "
        f"({request.seconds:.1f} s), {request.steps} steps, seed {request.seed}",
        f"  about {say_seconds(forecast.low_seconds)} to {say_seconds(forecast.high_seconds)} "
        f"({forecast.closeness.basis}), first picture after about {say_seconds(forecast.first_slice_seconds)}",
    ]
    for stage, choice in memory.choices.items():
        card = f"{say_bytes(choice.card_bytes):>9} of {say_bytes(memory.budget_bytes):>9}"
        ram = f", main memory {say_bytes(choice.ram_bytes)}" if choice.ram_bytes != choice.card_bytes else ""
        lines.append(f"  {stage:8}{card}{ram}, about {say_seconds(forecast.stage_seconds[stage])}")
    lines.append(f"  disk    {say_bytes(memory.disk_bytes):>9} of {say_bytes(memory.budget.disk_bytes):>9}")
    lines += [
        f"  chunk {chunk.index + 1}: {plan.spec.frames_of(chunk.latents)} frames, seed {chunk.seed}"
        + _say_shots(plan, chunk)
        for chunk in plan.chunks
    ]
    lines += [f"  - {reason}" for reason in plan.reasons]
    faster = offer_faster(plan, memory.profile, experience)
    lines += [f"  faster: {say_change(change)}" for change in faster]
    return "\n".join(lines)


def _say_shots(plan: DraftPlan, chunk: Chunk) -> str:
    """`, 25 % shot 1 and 75 % shot 2`; nothing where there is one shot only."""
    if len(plan.request.shots) == 1:
        return ""
    parts = [f"{weight:.0%} shot {shot + 1}" for shot, weight in chunk.mix] or [f"shot {chunk.shot + 1}"]
    return f", {' and '.join(parts)}{' after a cut' if chunk.index and chunk.opens_scene else ''}"


def plan_as_json(plan: DraftPlan, experience: Experience | None = None) -> dict[str, Any]:
    """The plan as plain values, with the changes that would make it faster."""
    faster = offer_faster(plan, plan.memory.profile, experience)
    return plan.to_json() | {"changes": changes_as_json(faster)}


def say_change(change: Change) -> str:
    """`416 x 288 pixels, about 12 s, 3.1 GiB`."""
    forecast = change.plan.forecast
    return f"{change.name}, about {say_seconds(forecast.total_seconds)}, {say_bytes(change.plan.memory.peak_bytes)}"


def changes_as_json(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    """What each change touches, what would be asked for, and what that needs."""
    return [
        {
            "kind": change.kind,
            "name": change.name,
            "model": change.request.model,
            "width": change.request.shape.width,
            "height": change.request.shape.height,
            "frames": change.request.frames,
            "chunks": len(change.plan.chunks),
            "chunk_frames": change.request.chunk_frames,
            "lowest_precision": change.request.lowest_precision,
            "encoder": change.request.encoder,
            "seconds": change.plan.forecast.total_seconds,
            "peak_bytes": change.plan.memory.peak_bytes,
        }
        for change in changes
    ]
