"""Many drafts that wait: what it costs to add one more, and how soon a restart has them all again, in order."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from pipeline.plan.draft import DraftPlan
from pipeline.worker import Worker

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """`first_ms` and `last_ms`: medians over the first and the last tenth of the drafts that were added."""

    drafts: int
    first_ms: float
    last_ms: float
    restart_seconds: float
    in_order: bool


def soak_queue(folder: Path, drafts: int, plan: DraftPlan) -> QueueFigures:
    """Add `drafts` to the queue of a worker without a process, and start anew."""
    milliseconds, names = [], []
    with closing(Worker(folder, longest_queue=drafts)) as worker:
        for _ in range(drafts):
            seconds, name = _timed(lambda: worker.submit(plan))
            milliseconds.append(1000 * seconds)
            names.append(name)

    def restart() -> Worker:
        again = Worker(folder, longest_queue=drafts)
        assert again.status(names[-1]) is not None
        assert len(again.recent(10)) == min(10, drafts)
        return again

    seconds, again = _timed(restart)
    with closing(again):
        in_order = again.waiting() == names
    tenth = max(1, drafts // 10)
    return QueueFigures(
        drafts=drafts,
        first_ms=median(milliseconds[:tenth]),
        last_ms=median(milliseconds[-tenth:]),
        restart_seconds=seconds,
        in_order=in_order,
    )


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
