"""Ctrl-C and SIGTERM: the first asks, the second ends."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDED_BY_SIGNAL = 128  # plus the signal's number: the exit code that shells give


def interrupt() -> None:
    """What a command does when it is asked. Raises KeyboardInterrupt."""
    raise KeyboardInterrupt


@contextmanager
def heeding_signals(ask: Callable[[], None], before_the_end: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM calls `ask`, which may raise; the second ends this process at once.

    Also where SIGINT was ignored, as it is in whatever a script's `&` starts: Python leaves it so.

    Args:
        ask: called in the main thread, wherever that is.
        before_the_end: called before a second one ends it.
    """
    asked = False

    def heed(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            before_the_end()
            os._exit(ENDED_BY_SIGNAL + number)
        asked = True
        ask()

    before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
