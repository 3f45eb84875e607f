"""The drafts that wait, in order. Each one's journal says that it waits, so that a restart finds them all again."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.drafts.journal import ID_PATTERN, Journal, last_event, read_events
from pipeline.errors import QueueFull, WriteFailed
from pipeline.events import ENDS, Paused, Queued, Stopped

RESTING = frozenset(kind.__name__ for kind in (*ENDS, Paused))


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A draft's place in the queue. `began` is how often it was begun since it was put there; `suspended` one was
    asked to stop for a restart to go on."""

    waits: bool
    ticket: int
    draft: str
    began: int = 0
    suspended: bool = False


class DraftQueue:
    """Ids of drafts, first come, first served, at most `longest`; nothing of them is kept in memory but the ids.

    Args:
        drafts: folder of all drafts.
        longest: how many may wait.
    """

    def __init__(self, drafts: Path, longest: int) -> None:
        self._drafts, self._longest = drafts, longest
        self._waiting = deque[str]()
        self._first = self._last = 0  # tickets

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[str]:
        return iter(self._waiting)

    def check_room(self) -> None:
        """Raises QueueFull when one more is too many."""
        if len(self._waiting) >= self._longest:
            raise QueueFull(len(self._waiting))

    def put(self, draft: str, *, front: bool = False) -> None:
        """Have a draft wait, on disk first; what asked it to stop is gone. Raises WriteFailed."""
        journal, ticket = Journal(self._drafts, draft), self._first - 1 if front else self._last + 1
        journal.withdraw_stop()
        journal.note(Queued(ticket=ticket))
        if front:
            self._waiting.appendleft(draft)
        else:
            self._waiting.append(draft)
        self._first, self._last = min(self._first, ticket), max(self._last, ticket)

    def take(self) -> str:
        """The first one."""
        return self._waiting.popleft()

    def put_back(self, draft: str) -> None:
        """One that was taken waits again, as the first."""
        self._waiting.appendleft(draft)

    def remove(self, draft: str) -> bool:
        """Take a draft out; whether it waited."""
        if draft not in self._waiting:
            return False
        self._waiting.remove(draft)
        return True

    def position(self, draft: str) -> int:
        """How many wait before it; all, if it does not wait."""
        return self._waiting.index(draft) if draft in self._waiting else len(self._waiting)

    def restore(self, *, attempts: int) -> list[str]:
        """Put in what waited, or was being made, when the process before this one ended, in the same order.

        Returns:
            Those left out because they were begun `attempts` times and never ended.
        """
        given_up = []
        for place in sorted(filter(None, map(_place, self._drafts.iterdir()))):
            self._first, self._last = min(self._first, place.ticket), max(self._last, place.ticket)
            if place.began >= attempts:
                given_up.append(place.draft)
            else:
                if place.suspended:
                    self._go_on(Journal(self._drafts, place.draft), place.ticket)
                self._waiting.append(place.draft)
        return given_up

    def _go_on(self, journal: Journal, ticket: int) -> None:
        """What was to be done when it was kept, and was not: the process was ended before."""
        with suppress(WriteFailed):
            journal.note(Queued(ticket=ticket))
            journal.withdraw_stop()


def _place(folder: Path) -> Place | None:
    """Where a draft stood in the queue; None for one that is over, rests or was never in it.

    One that was kept for a restart is neither, though nobody was left to put it in again.
    """
    last = last_event(folder) if ID_PATTERN.fullmatch(folder.name) else None
    if last is None:
        return None
    suspended = Journal(folder.parent, folder.name).suspended()
    kept_for_restart = suspended and last.get("event") == Stopped.__name__
    if last.get("event") in RESTING and not kept_for_restart:
        return None
    if last.get("event") == "Queued":
        return Place(waits=True, ticket=last.get("ticket", 0), draft=folder.name)
    began = 0
    for row in reversed(read_events(folder)):
        if row.get("event") == "Queued":
            began = 0 if suspended else began
            return Place(waits=False, ticket=row.get("ticket", 0), draft=folder.name, began=began, suspended=suspended)
        began += row.get("event") == "Started"
    return None  # somebody makes it without the queue, on the command line
