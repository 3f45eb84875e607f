"""After three failures in a row nobody is asked for a minute: that spares a server that is down and a person's time."""

import threading
import time
from collections.abc import Callable

from pipeline.errors import DraftError

FAILURES = 3
PAUSE_SECONDS = 60.0


class Breaker:
    """Closed, everything passes. Open, nothing does. When the pause is over one attempt passes, and decides.

    Args:
        what: is refused, for the sentence.
        clock: seconds that only go forwards.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock, self._lock = what, clock, threading.Lock()
        self._failures, self._reason, self._opens_again = 0, "", 0.0

    def check(self) -> None:
        """Before an attempt.

        Raises:
            DraftError: while it is open, with what failed last and how long it stays so.
        """
        with self._lock:
            left = self._opens_again - self._clock()
            if self._failures >= FAILURES and left > 0:
                said = f"{self._what} failed {self._failures} times in a row: {self._reason}"
                raise DraftError(said, f"It can be tried again in {left:.0f} s.")

    def succeeded(self) -> None:
        """An attempt went well."""
        with self._lock:
            self._failures = 0

    def failed(self, reason: str) -> None:
        """An attempt failed; `reason` is a sentence."""
        with self._lock:
            self._failures += 1
            self._reason, self._opens_again = reason, self._clock() + PAUSE_SECONDS
