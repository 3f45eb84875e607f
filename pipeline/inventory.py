"""Every model: whether it is here, and what a draft with it at its own size would take on a device.

Files are looked at, nothing is downloaded and nothing is made. Planning all of them takes about 0.2 s (two cores).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pipeline
from pipeline.drafts.measurements import Measurements
from pipeline.errors import DoesNotFit, DraftError
from pipeline.installed import Installation, find_installation
from pipeline.plan.alternatives import Change, ChangeKind, plan_draft
from pipeline.plan.catalog import CATALOG
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Precision
from pipeline.plan.presets import VramProfile

COARSE = frozenset({Precision.FP8, Precision.INT8, Precision.INT4})


class Fit(StrEnum):
    """How a model fits a device: as it is, with weights of 8 bits or fewer, in a smaller draft only, or not at all."""

    WHOLE = "whole"
    COARSER = "coarser"
    SMALLER = "smaller"
    NOT = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model: what is here of it, and the plan of a draft at its own size and length; where there is none, why."""

    installation: Installation
    plan: DraftPlan | None
    refusal: DraftError | None = None

    @property
    def nearest(self) -> Change | None:
        """Where its own draft does not fit, the change that loses least among those that keep the model."""
        changes = self.refusal.changes if isinstance(self.refusal, DoesNotFit) else ()
        return next((change for change in changes if change.kind is not ChangeKind.MODEL), None)

    @property
    def fit(self) -> Fit:
        """How it fits the device it was planned for."""
        if self.plan is None:
            return Fit.SMALLER if self.nearest else Fit.NOT
        coarse = COARSE & {choice.precision for choice in self.plan.memory.choices.values()}
        return Fit.COARSER if coarse else Fit.WHOLE


def take_inventory(
    device: Device, profile: VramProfile, measurements: Measurements, weights: Mapping[str, Path]
) -> tuple[Entry, ...]:
    """Every catalog entry, in the catalog's order.

    Args:
        device: what to plan for.
        profile: how much of it may be used.
        measurements: of the drafts folder, from which forecasts are made.
        weights: folders of one's own, by model.
    """
    entries = []
    for spec in CATALOG.values():
        here = find_installation(spec.kept_in(weights.get(spec.key)))
        request = pipeline.request("-", model=spec.key, seed=0)
        try:
            plan = plan_draft(request, device, profile, measurements.experience(request, device))
            entries.append(Entry(installation=here, plan=plan))
        except DraftError as error:
            entries.append(Entry(installation=here, plan=None, refusal=error))
    return tuple(entries)
