"""How the worker is, for whoever asks from outside, and the hook for whoever counts what it does."""

from collections import Counter
from collections.abc import Iterable, Mapping
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


class Watchers(list[Watcher]):
    """All of them, told as one."""

    def queued(self, draft: str) -> None:
        """To each."""
        for watcher in self:
            watcher.queued(draft)

    def told(self, draft: str, event: Event) -> None:
        """To each."""
        for watcher in self:
            watcher.told(draft, event)

    def respawned(self) -> None:
        """To each."""
        for watcher in self:
            watcher.respawned()


def tell_health(states: Iterable[DraftState], *, draining: bool, busy: bool, reason: str) -> Health:
    """The health of a worker that has drafts in these states; `reason` says why it cannot make any, empty if it can."""
    if draining:
        readiness = Readiness.DRAINING
    elif reason:
        readiness = Readiness.DEGRADED
    else:
        readiness = Readiness.BUSY if busy else Readiness.READY
    in_hand = Counter(state for state in states if not state.over)
    return Health(readiness=readiness, reason="" if draining else reason, drafts=in_hand)
