"""What can be asked about the drafts of a folder, by whoever makes them and by whoever only looks."""

import threading
from itertools import chain, repeat
from pathlib import Path

from pipeline.drafts.queue import DraftQueue
from pipeline.drafts.register import Register
from pipeline.drafts.status import DraftRecord, DraftState, DraftStatus
from pipeline.errors import InvalidRequest
from pipeline.health import Health, tell_health

WARMING_UP = "The engine is warming up."


class DraftsView:
    """The drafts of a folder: what waits, what is being made, what became of each.

    Args:
        drafts: folder of all drafts.
        keep: whether they change here only, so that memory may tell instead of the folder.
        longest_queue: how many drafts may wait.
    """

    keep_hours: int | None = None
    """How long a draft that is over stays; None where a person deletes it."""
    most_waiting: int | None = None
    """How many drafts of whoever asks may be not over; None where only the queue is bounded."""

    def __init__(self, drafts: Path, *, keep: bool, longest_queue: int) -> None:
        self.drafts = drafts
        self._changed = threading.Condition()
        self._register = Register(drafts, keep=keep)
        self._queue = DraftQueue(drafts, longest_queue)
        self._running: str | None = None
        self._ready = self._closing = False
        self._trouble = WARMING_UP  # why it is not ready

    @property
    def ready(self) -> bool:
        """Whether the process can begin a draft at once."""
        return self._ready

    def health(self) -> Health:
        """How it is now. Nobody is waited for: who changes something may have to write it to the disk first."""
        busy, reason = self._running is not None, "" if self._ready else self._trouble
        # Of those that wait not all are in memory after a restart
        begun = (state for state in self._register.states() if state is not DraftState.QUEUED)
        states = chain(begun, repeat(DraftState.QUEUED, len(self._queue)))
        return tell_health(states, draining=self._closing, busy=busy, reason=reason)

    def status(self, draft: str) -> DraftStatus | None:
        """A draft now, also an old one from its folder; None when there is none of that name."""
        with self._changed:
            record = self._record(draft)
            if record is None:
                return None
            waits = record.state is DraftState.QUEUED
            return record.snapshot(ahead=self._queue.position(draft) + bool(self._running) if waits else 0)

    def wait(self, draft: str, version: int, timeout_seconds: float) -> DraftStatus | None:
        """A draft as soon as its version differs from `version`, or as it is when the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: getattr(self._record(draft), "version", None) != version, timeout_seconds)
        return self.status(draft)

    def lists(self, draft: str) -> bool:
        """Whether a draft is shown to whoever asks now; here all are to everybody."""
        del draft
        return True

    def waiting(self) -> list[str]:
        """Ids of the drafts that wait, in their order."""
        with self._changed:
            return list(self._queue)

    def recent(self, limit: int) -> list[DraftStatus]:
        """The newest drafts, newest first."""
        found = map(self.status, self._register.newest(limit))
        return [status for status in found if status is not None]

    def _record(self, draft: str) -> DraftRecord | None:
        return self._register.find(draft, cared_for=draft == self._running or draft in self._queue)

    def _known(self, draft: str) -> DraftRecord:
        """Raises InvalidRequest where there is none of that name."""
        record = self._record(draft)
        if record is None:
            raise InvalidRequest("draft", "There is no such draft.")
        return record
