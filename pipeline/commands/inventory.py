"""Every model: whether it is here, where, under which licence, and what its own draft would take on this machine.

`python -m pipeline models` prints it. Files are looked at, nothing is downloaded and nothing is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipeline
from pipeline.drafts.measurements import Measurements
from pipeline.errors import DraftError, say_bytes
from pipeline.installed import Installation, Presence, find_installation
from pipeline.plan.alternatives import plan_draft, say_seconds
from pipeline.plan.catalog import CATALOG
from pipeline.plan.device import DeviceKind, probe_device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import find_profile

PROFILE = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model: what is here of it, and the plan of a draft at its own size and length; where there is none, why."""

    installation: Installation
    plan: DraftPlan | None
    refusal: str = ""

    def to_text(self) -> str:
        """Three lines for a terminal."""
        spec = self.installation.spec
        return "\n  ".join(
            (f"{spec.title} ({spec.key}), licence: {spec.licence}", self._say_where(), self._say_draft())
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values: bytes and seconds as numbers."""
        here, plan = self.installation, self.plan
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
            "refusal": self.refusal,
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

    def _say_where(self) -> str:
        here = self.installation
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

    def _say_draft(self) -> str:
        plan = self.plan
        if not plan:
            return self.refusal
        asked, memory, forecast, chunks = plan.request, plan.memory, plan.forecast, len(plan.chunks)
        where = "of the card" if memory.device.kind is DeviceKind.CUDA else "of main memory"
        return (
            f"{asked.shape.width}x{asked.shape.height}, {asked.seconds:.1f} s, {asked.steps} steps: "
            f"{say_bytes(memory.peak_bytes)} {where}, "
            f"{say_seconds(forecast.low_seconds)} to {say_seconds(forecast.high_seconds)}, "
            f"{chunks} {'chunk' if chunks == 1 else 'chunks'}"
        )


def take_inventory(drafts: Path, weights: Mapping[str, Path] | None = None) -> tuple[Entry, ...]:
    """Every catalog entry, in the catalog's order.

    Args:
        drafts: the drafts folder, which need not exist; forecasts are made from what is measured there.
        weights: folders of one's own, by model.
    """
    profile, measurements = find_profile(PROFILE), Measurements(drafts)
    device = probe_device(use_card=profile.use_card, folder=drafts)
    entries = []
    for spec in CATALOG.values():
        here = find_installation(spec.kept_in((weights or {}).get(spec.key)))
        request = pipeline.request("-", model=spec.key, seed=0)
        try:
            plan = plan_draft(request, device, profile, measurements.experience(request, device))
            entries.append(Entry(installation=here, plan=plan))
        except DraftError as error:
            entries.append(Entry(installation=here, plan=None, refusal=str(error)))
    return tuple(entries)
