"""Every model: whether it is here, where, under which licence, and what its own draft would take on this machine.

`python -m pipeline models` prints it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import inventory
from pipeline.drafts.measurements import Measurements
from pipeline.errors import say_bytes
from pipeline.installed import Installation, Presence
from pipeline.inventory import Entry
from pipeline.plan.alternatives import say_seconds
from pipeline.plan.device import DeviceKind, probe_device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import find_profile

PROFILE = "auto"


def take_inventory(drafts: Path, weights: Mapping[str, Path] | None = None) -> tuple[Entry, ...]:
    """Every catalog entry on this machine, in the catalog's order.

    Args:
        drafts: the drafts folder, which need not exist; forecasts are made from what is measured there.
        weights: folders of one's own, by model.
    """
    profile = find_profile(PROFILE)
    device = probe_device(use_card=profile.use_card, folder=drafts)
    return inventory.take_inventory(device, profile, Measurements(drafts), weights or {})


def entry_text(entry: Entry) -> str:
    """Three lines for a terminal."""
    spec = entry.installation.spec
    draft = _say_draft(entry.plan) if entry.plan else str(entry.refusal)
    return "\n  ".join((f"{spec.title} ({spec.key}), licence: {spec.licence}", _say_where(entry.installation), draft))


def entry_json(entry: Entry) -> dict[str, Any]:
    """Plain values: bytes and seconds as numbers."""
    here, plan = entry.installation, entry.plan
    values: dict[str, Any] = {
        "key": here.spec.key,
        "title": here.spec.title,
        "licence": here.spec.licence,
        "presence": here.presence,
        "usable": here.usable,
        "folder": str(here.folder) if here.folder else None,
        "here_bytes": here.here_bytes,
        "download_bytes": here.download_bytes,
        "command": here.command,
        "obstacle": here.obstacle,
        "fit": entry.fit,
        "refusal": str(entry.refusal or ""),
        "draft": None,
    }
    if plan:
        values["draft"] = {
            "width": plan.request.shape.width,
            "height": plan.request.shape.height,
            "frames": plan.request.frames,
            "length_seconds": plan.request.seconds,
            "steps": plan.request.steps,
            "peak_bytes": plan.memory.peak_bytes,
            "budget_bytes": plan.memory.budget_bytes,
            "ram_bytes": plan.memory.ram_bytes,
            "chunks": len(plan.chunks),
            "low_seconds": plan.forecast.low_seconds,
            "high_seconds": plan.forecast.high_seconds,
        }
    return values


def _say_where(here: Installation) -> str:
    if here.obstacle:
        return here.obstacle
    size, rest = say_bytes(here.here_bytes), say_bytes(here.download_bytes)
    match here.presence:
        case Presence.ABSENT:
            return f"not here, {rest}: {here.command}"
        case Presence.PARTIAL:
            return f"partly here, {size}; {rest} are to come: {here.command}"
        case _:
            return f"here, {size} in {here.folder}"


def _say_draft(plan: DraftPlan) -> str:
    asked, memory, forecast, chunks = plan.request, plan.memory, plan.forecast, len(plan.chunks)
    where = "of the card" if memory.device.kind is DeviceKind.CUDA else "of main memory"
    return (
        f"{asked.shape.width}x{asked.shape.height}, {asked.seconds:.1f} s, {asked.steps} steps: "
        f"{say_bytes(memory.peak_bytes)} {where}, "
        f"{say_seconds(forecast.low_seconds)} to {say_seconds(forecast.high_seconds)}, "
        f"{chunks} {'chunk' if chunks == 1 else 'chunks'}"
    )
