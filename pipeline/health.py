"""How the worker is, for whoever asks from outside, and the hook for whoever counts what it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pipeline.drafts.status import DraftState
from pipeline.events import Event


class Readiness(StrEnum):
    """Whether a draft can be made now."""

    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the worker is, and why it is degraded; how many drafts it has in hand, by state."""

    readiness: Readiness
    reason: str
    drafts: Mapping[DraftState, int]


class Watcher(Protocol):
    """Whoever counts. Called with the register locked, so it answers at once and asks nothing back."""

    def queued(self, draft: str) -> None:
        """A draft waits from now on."""

    def told(self, draft: str, event: Event) -> None:
        """The engine said something about a draft."""

    def respawned(self) -> None:
        """The process ended by itself and will be started again."""
