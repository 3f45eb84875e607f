"""A draft that went on from a stop and ends before it has more keeps the film of that stop, and says so."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pipeline.drafts.journal import Journal, last_event
from pipeline.drafts.status import DraftState
from pipeline.events import Started, Stopped
from pipeline.leasing import LeasedEngine
from pipeline.plan.draft import DraftPlan
from pipeline.process import DIED, NEVER_READY, Owner
from pipeline.serving import UNEXPECTED
from pipeline.video.mp4 import join_slices, write_slice
from pipeline.worker import ATTEMPTS, Worker
from tests.workers import short

__all__ = ["short"]
FILM = ("draft.mp4", 9)


class Still:
    """A backend that takes drafts and says nothing."""

    pid = None

    def __init__(self, drafts: Path, weights: Mapping[str, Path], owner: Owner) -> None:
        del drafts, weights, owner

    def start(self) -> None:
        pass

    def make(self, draft: str, plan: DraftPlan) -> bool:
        del draft, plan
        return True

    def kill(self) -> None:
        pass

    def close(self, grace_seconds: float) -> None:
        pass


def begun(worker: Worker, plan: DraftPlan) -> str:
    """A draft that was stopped, with a film."""
    draft = worker.submit(plan)
    journal = Journal(worker.drafts, draft)
    write_slice(np.zeros((9, 32, 32, 3), np.uint8), journal.slice_path(0), fps=24)
    join_slices([journal.slice_path(0)], journal.video_path(), title="", settings={})
    worker.stop(draft)
    return draft


def remove_from_the_line(worker: Worker, draft: str) -> None:
    worker.stop(draft)


def die(worker: Worker, draft: str) -> None:
    worker.engine_ready()
    for _ in range(ATTEMPTS):
        assert worker._running == draft
        worker.engine_died(DIED, broken=False)
        worker.engine_ready()


def never_start(worker: Worker, draft: str) -> None:
    assert worker.waiting() == [draft]
    worker.engine_died(DIED, broken=True)


def lose_its_plan(worker: Worker, draft: str) -> None:
    Journal(worker.drafts, draft).path("plan.json").unlink()
    worker.engine_ready()


def be_refused_a_card(worker: Worker, draft: str) -> None:
    LeasedEngine(worker.drafts, {}, worker)._fail(draft, None)


ENDS: dict[str, tuple[Callable[[Worker, str], None], DraftState, str]] = {
    "removed from the line": (remove_from_the_line, DraftState.STOPPED, ""),
    "its process died": (die, DraftState.FAILED, DIED.message),
    "no process starts": (never_start, DraftState.FAILED, NEVER_READY.message),
    "no card is lent": (be_refused_a_card, DraftState.FAILED, UNEXPECTED.message),
    "its plan is gone": (lose_its_plan, DraftState.FAILED, "There is no draft"),
}


@pytest.mark.parametrize(("end", "state", "said"), ENDS.values(), ids=ENDS)
def test_a_draft_that_waited_to_go_on_keeps_the_film_it_had(
    tmp_path: Path, short: DraftPlan, end: Callable[[Worker, str], None], state: DraftState, said: str
) -> None:
    worker = Worker(tmp_path, engine=Still)
    draft = begun(worker, short)
    worker.resume(draft)
    waiting = worker.status(draft)
    assert waiting is not None
    assert (waiting.state, waiting.video) == (DraftState.QUEUED, None)
    end(worker, draft)
    now, noted = worker.status(draft), last_event(tmp_path / draft) or {}
    worker.close()
    assert now is not None
    assert (now.state, now.video, now.video_frames) == (state, *FILM)
    assert now.message.startswith(said)
    assert (noted["event"].lower(), noted["file"], noted["frames"]) == (state, *FILM)


def test_one_that_is_given_up_at_a_start_keeps_it_too(tmp_path: Path, short: DraftPlan) -> None:
    worker = Worker(tmp_path, engine=Still)
    draft = begun(worker, short)
    worker.resume(draft)
    worker.close()
    for _ in range(ATTEMPTS):
        Journal(tmp_path, draft).note(Started(draft=draft, plan=short))
    again = Worker(tmp_path, engine=Still)
    now = again.status(draft)
    again.close()
    assert now is not None
    assert (now.state, now.message, now.video, now.video_frames) == (DraftState.FAILED, DIED.message, *FILM)


def test_one_that_has_no_film_says_none(tmp_path: Path, short: DraftPlan) -> None:
    worker = Worker(tmp_path, engine=Still)
    draft = worker.submit(short)
    worker.stop(draft)
    worker.close()
    row = last_event(tmp_path / draft) or {}
    assert {name: row[name] for name in ("event", "file", "frames")} == {
        "event": Stopped.__name__,
        "file": None,
        "frames": 0,
    }
