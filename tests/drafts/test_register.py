"""A draft that another process makes: its folder tells how it goes, as long as that process lives, and how it ends."""

from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal, new_draft_id, read_events
from pipeline.drafts.lock import is_claimed
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import InvalidRequest
from pipeline.events import Event, Failed, Finished, Paused, Started, StepDone, Stopped
from pipeline.plan.draft import DraftPlan
from pipeline.worker import Worker
from tests.workers import idle, short

__all__ = ["idle", "short"]
FINISHED = Finished(file="draft.mp4", frames=9, seconds=1.0, peak_bytes=1)
FAILED = Failed(message="It broke.", hint="")


@pytest.fixture
def journal(idle: Worker, short: DraftPlan) -> Journal:
    """Of a draft that was begun without the queue, as on the command line."""
    journal = Journal(idle.drafts, new_draft_id())
    journal.begin(short)
    journal.note(Started(draft=journal.draft, plan=short))
    return journal


def look(worker: Worker, journal: Journal) -> DraftStatus:
    status = worker.status(journal.draft)
    assert status is not None
    return status


def step(number: int) -> StepDone:
    return StepDone(chunk=0, step=number, steps=2, seconds=1.0, preview=None)


def test_it_is_followed_while_it_is_made_and_to_its_end(idle: Worker, journal: Journal) -> None:
    with journal.claim():
        seen = [look(idle, journal)]
        for number in (1, 2):
            journal.note(step(number))
            seen.append(look(idle, journal))
        assert [(status.state, status.step) for status in seen] == [(DraftState.RUNNING, done) for done in (0, 1, 2)]
        assert idle.waiting() == []
        journal.note(FINISHED)
    assert look(idle, journal).state is DraftState.FINISHED


def test_one_that_was_cut_off_is_what_it_becomes_when_somebody_goes_on_with_it(idle: Worker, journal: Journal) -> None:
    cut_off = look(idle, journal)
    assert (cut_off.state, cut_off.message) == (
        DraftState.FAILED,
        "Rushes was closed while this draft was being made.",
    )
    with journal.claim():
        assert look(idle, journal).state is DraftState.RUNNING
    assert look(idle, journal) == cut_off
    journal.note(FINISHED)
    assert look(idle, journal).state is DraftState.FINISHED


def test_one_that_was_stopped_and_goes_on_is_not_stopped_any_more(
    idle: Worker, journal: Journal, short: DraftPlan
) -> None:
    journal.note(Stopped(file="draft.mp4", frames=9, chunks=1, seconds=1.0))
    journal.note(Started(draft=journal.draft, plan=short))
    with journal.claim():
        now = look(idle, journal)
        assert (now.state, now.video) == (DraftState.RUNNING, None)
    assert look(idle, journal).state is DraftState.FAILED


@pytest.mark.parametrize("rest", [Stopped(file=None, frames=0, chunks=0, seconds=1.0), Paused(), FAILED], ids=repr)
def test_one_that_rested_here_and_goes_on_elsewhere_is_what_it_becomes_there(
    idle: Worker, journal: Journal, short: DraftPlan, rest: Event
) -> None:
    journal.note(rest)
    rested = look(idle, journal)
    assert look(idle, journal) == rested
    with journal.claim():
        journal.note(Started(draft=journal.draft, plan=short))
        journal.note(step(1))
        now = look(idle, journal)
        assert (now.state, now.step) == (DraftState.RUNNING, 1)
        idle.resume(journal.draft)
        assert idle.waiting() == []
        journal.note(rest)
    again = look(idle, journal)
    assert (again.state, again.version) == (rested.state, look(idle, journal).version)
    journal.note(Started(draft=journal.draft, plan=short))
    journal.note(FINISHED)  # while nobody looked
    finished = look(idle, journal)
    assert (finished.state, finished.version > again.version) == (DraftState.FINISHED, True)


def test_it_is_asked_to_stop_and_neither_paused_nor_deleted_nor_made_twice(idle: Worker, journal: Journal) -> None:
    noted = read_events(journal.folder)
    with journal.claim():
        idle.pause(journal.draft)
        assert not journal.stop_requested()
        idle.resume(journal.draft)
        with pytest.raises(InvalidRequest, match="waiting or being made"):
            idle.delete(journal.draft)
        idle.stop(journal.draft)
        assert journal.stop_requested()
    assert idle.waiting() == []
    assert read_events(journal.folder) == noted  # which are of those who make it


def test_one_that_was_cut_off_goes_on_here_and_whoever_follows_it_is_told(idle: Worker, journal: Journal) -> None:
    cut_off = look(idle, journal)
    idle.resume(journal.draft)
    now = idle.wait(journal.draft, cut_off.version, 0.0)
    assert now is not None
    assert (now.state, now.version > cut_off.version) == (DraftState.QUEUED, True)
    idle.stop(journal.draft)
    assert look(idle, journal).state is DraftState.STOPPED


def test_whether_somebody_works_on_it_is_only_looked_at(tmp_path: Path, journal: Journal) -> None:
    before = sorted(path.name for path in journal.folder.iterdir())
    assert not is_claimed(journal)
    assert sorted(path.name for path in journal.folder.iterdir()) == before
    gone = Journal(tmp_path, new_draft_id())
    assert not is_claimed(gone)
    assert not gone.folder.exists()
    with journal.claim():
        assert is_claimed(journal)
    assert not is_claimed(journal)
    with journal.claim():
        pass
