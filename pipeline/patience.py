"""How long a slice that is being made may still take once somebody asked to stop: the time of a step, then it is left.

Its latents are kept either way, and it is made when the draft goes on.
"""

import time

from pipeline.drafts.journal import Journal
from pipeline.errors import StopRequested

LEAST_SECONDS = 0.05  # where no step was made yet, or a step is faster; half of what a stop may take beside a step


class Patience:
    """With the slices of one draft.

    Args:
        journal: where somebody asks to stop.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._step_seconds = LEAST_SECONDS
        self._asked_at: float | None = None

    def learn(self, step_seconds: float) -> None:
        """A step took so long."""
        self._step_seconds = max(LEAST_SECONDS, step_seconds)

    def check(self) -> None:
        """Called while a slice is made. Raises StopRequested when a step's time has passed since the stop was seen."""
        if not self._journal.stop_requested():
            return
        now = time.monotonic()
        self._asked_at = self._asked_at or now
        if now - self._asked_at >= self._step_seconds:
            raise StopRequested
