"""The engine in a thread of the test's own process: a `process.Backend` that needs no start of seconds."""

import queue
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pipeline.engine import Engine
from pipeline.plan.draft import DraftPlan
from pipeline.process import Owner
from pipeline.serving import make


class EngineThread:
    """Makes one draft after the other, as the process does."""

    pid = None

    def __init__(self, drafts: Path, weights: Mapping[str, Path], owner: Owner) -> None:
        self._engine, self._owner = Engine(drafts, weights), owner
        self._jobs = queue.SimpleQueue[tuple[str, DraftPlan] | None]()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        """Ready at once."""
        self._thread.start()

    def make(self, draft: str, plan: DraftPlan) -> bool:
        """Always taken."""
        self._jobs.put((draft, plan))
        return True

    def kill(self) -> None:
        """A thread cannot be."""

    def close(self, grace_seconds: float) -> None:
        """After the draft it works on."""
        self._jobs.put(None)
        self._thread.join(grace_seconds)

    def _live(self) -> None:
        self._owner.engine_ready()
        while (job := self._jobs.get()) is not None:
            make(self._engine, *job, partial(self._owner.engine_said, job[0]))
