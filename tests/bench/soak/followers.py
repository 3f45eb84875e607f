"""Many pages on one draft: how long after an event each of them has it."""

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.drafts.status import DraftStatus
from pipeline.events import Event
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import load_looks, load_profiles
from pipeline.studio.advice import Machine
from pipeline.studio.desk import Desk, Studio
from pipeline.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerFigures:
    """Delays from the worker's taking in of an event to a page's having it, over all pages and events."""

    followers: int
    updates: int
    median_ms: float
    p95_ms: float
    saw_the_end: int


class Stamping(Worker):
    """Notes when each version of a draft came to be."""

    def __init__(self, drafts: Path, **how: Any) -> None:
        super().__init__(drafts, **how)
        self.came: dict[int, float] = {}

    def engine_said(self, draft: str, event: Event) -> None:
        """Noted under the lock, before anybody can see it."""
        with self._changed:
            version = self.status(draft).version  # type: ignore[union-attr]
            self.came[version + 1] = time.monotonic()
            super().engine_said(draft, event)


class Seen:
    """A worker as one page sees it, which remembers the last version it was shown."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self.version = worker, 0

    def status(self, draft: str) -> DraftStatus | None:
        """As the worker's."""
        found = self._worker.status(draft)
        self.version = found.version if found else 0
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worker, name)


def soak_followers(folder: Path, followers: int, plan: DraftPlan, **how: Any) -> FollowerFigures:
    """Follow one draft with `followers` pages, from the queue to its end; `how` as of `Worker`."""
    with closing(Stamping(folder, **how)) as worker:
        worker.start()
        while not worker.ready:
            time.sleep(0.05)
        draft = worker.submit(plan)
        machine, look = Machine(load_profiles(), folder, {}), load_looks()["balanced"]

        async def follow(number: int) -> tuple[list[float], bool]:
            seen: Any = Seen(worker)
            desk = Desk(Studio(worker=seen, machine=machine, look=look))
            request: Any = SimpleNamespace(headers={"accept-language": "en"}, session_hash=str(number))
            delays, over = [], False
            async for view, *_ in desk.follow(draft, request):
                if seen.version in worker.came:
                    delays.append(time.monotonic() - worker.came[seen.version])
                over = view["over"]
            return delays, over

        async def follow_all() -> list[tuple[list[float], bool]]:
            return await asyncio.gather(*map(follow, range(followers)))

        heard = asyncio.run(follow_all())
    delays = np.array([delay for page, _ in heard for delay in page]) * 1000
    return FollowerFigures(
        followers=followers,
        updates=len(delays),
        median_ms=float(np.median(delays)),
        p95_ms=float(np.percentile(delays, 95)),
        saw_the_end=sum(over for _, over in heard),
    )
