"""The queue on disk: whoever comes next has the same drafts in the same order, and nothing that was over or rested."""

from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal, last_event, new_draft_id, read_events
from pipeline.drafts.queue import DraftQueue
from pipeline.errors import QueueFull
from pipeline.events import Event, Failed, Finished, Paused, Started, StepDone, Stopped
from pipeline.plan.draft import DraftPlan
from tests.conftest import PlanMaker

STOPPED = Stopped(file=None, frames=0, chunks=0, seconds=1.0)
ENDS = [
    STOPPED,
    Failed(message="It broke.", hint=""),
    Finished(file="draft.mp4", frames=9, seconds=1.0, peak_bytes=1),
    Paused(),
]


@pytest.fixture
def queue(tmp_path: Path) -> DraftQueue:
    return DraftQueue(tmp_path, 8)


def begin(drafts: Path, plan: DraftPlan, count: int) -> list[str]:
    """Drafts with random names: their order is nobody's but the queue's."""
    names = [new_draft_id() for _ in range(count)]
    for name in names:
        Journal(drafts, name).begin(plan)
    return names


def restored(drafts: Path, attempts: int = 2) -> tuple[list[str], list[str]]:
    """What waits after a restart, and what was given up."""
    again = DraftQueue(drafts, 8)
    given_up = again.restore(attempts=attempts)
    return list(again), given_up


def note(drafts: Path, draft: str, *events: Event) -> None:
    for event in events:
        Journal(drafts, draft).note(event)


@pytest.mark.fault(13)
def test_a_restart_finds_what_waited_in_its_order(tmp_path: Path, queue: DraftQueue, make_plan: PlanMaker) -> None:
    names = begin(tmp_path, make_plan(), 5)
    for name in (*names[2:], *names[:2]):
        queue.put(name)
    queue.remove(names[3])
    note(tmp_path, names[3], STOPPED)
    queue.put(names[3], front=True)
    order = [names[3], names[2], names[4], names[0], names[1]]
    assert list(queue) == order
    assert [queue.position(name) for name in names] == [3, 4, 1, 0, 2]
    assert restored(tmp_path) == (order, [])
    again = DraftQueue(tmp_path, 8)
    again.restore(attempts=2)
    (late, first) = begin(tmp_path, make_plan(), 2)
    again.put(late)
    again.put(first, front=True)
    assert restored(tmp_path)[0] == [first, *order, late]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_what_is_over_or_rests_does_not_wait(
    tmp_path: Path, queue: DraftQueue, make_plan: PlanMaker, end: Event
) -> None:
    (draft,) = begin(tmp_path, make_plan(), 1)
    queue.put(draft)
    note(tmp_path, draft, end)
    assert restored(tmp_path) == ([], [])
    queue.put(draft)
    assert restored(tmp_path) == ([draft], [])


def test_what_was_being_made_goes_on_first_and_is_given_up_when_begun_too_often(
    tmp_path: Path, queue: DraftQueue, make_plan: PlanMaker
) -> None:
    plan = make_plan()
    waits, runs = begin(tmp_path, plan, 2)
    queue.put(waits)
    queue.put(runs)
    step = StepDone(chunk=0, step=1, steps=2, seconds=1.0, preview=None)
    note(tmp_path, runs, Started(draft=runs, plan=plan), step)
    assert restored(tmp_path) == ([runs, waits], [])
    note(tmp_path, runs, Started(draft=runs, plan=plan), step)
    assert restored(tmp_path) == ([waits], [runs])
    queue.put(runs)  # somebody asked again
    assert restored(tmp_path) == ([waits, runs], [])


def test_what_the_command_line_makes_is_left_to_it(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan()
    begun, bare = begin(tmp_path, plan, 2)
    note(tmp_path, begun, Started(draft=begun, plan=plan))
    assert last_event(tmp_path / bare) is None
    assert restored(tmp_path) == ([], [])


@pytest.mark.fault(15)
def test_a_torn_line_is_as_if_it_had_not_been_written(tmp_path: Path, queue: DraftQueue, make_plan: PlanMaker) -> None:
    (draft,) = begin(tmp_path, make_plan(), 1)
    queue.put(draft)
    with (tmp_path / draft / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "Stopped", "at"')
    assert restored(tmp_path) == ([draft], [])


def test_the_last_event_is_found_at_the_end_of_a_long_journal(tmp_path: Path, make_plan: PlanMaker) -> None:
    (draft,) = begin(tmp_path, make_plan(), 1)
    for step in range(400):
        note(tmp_path, draft, StepDone(chunk=0, step=step, steps=400, seconds=0.1, preview=None))
    assert last_event(tmp_path / draft) == read_events(tmp_path / draft)[-1]
    assert (last_event(tmp_path / draft) or {})["step"] == 399


@pytest.mark.fault(25)
def test_a_full_queue_says_how_many_wait(tmp_path: Path, make_plan: PlanMaker) -> None:
    queue = DraftQueue(tmp_path, 2)
    for name in begin(tmp_path, make_plan(), 2):
        queue.check_room()
        queue.put(name)
    with pytest.raises(QueueFull, match="2 drafts are waiting already") as refusal:
        queue.check_room()
    assert refusal.value.waiting == 2


def test_what_waits_again_is_no_longer_asked_to_stop(tmp_path: Path, queue: DraftQueue, make_plan: PlanMaker) -> None:
    (draft,) = begin(tmp_path, make_plan(), 1)
    Journal(tmp_path, draft).request_stop()
    queue.put(draft)
    assert not Journal(tmp_path, draft).stop_requested()


@pytest.mark.fault(12)
@pytest.mark.parametrize("kept", [[STOPPED], []], ids=["kept already", "not kept yet"])
def test_what_was_suspended_waits_again_though_nobody_was_left_to_put_it_in(
    tmp_path: Path, queue: DraftQueue, make_plan: PlanMaker, kept: list[Event]
) -> None:
    """As after a second SIGTERM: before the engine had kept it, or between that and the queue."""
    plan = make_plan()
    ran, waited = begin(tmp_path, plan, 2)
    for name in (ran, waited):
        queue.put(name)
    note(tmp_path, ran, Started(draft=ran, plan=plan), Started(draft=ran, plan=plan))
    Journal(tmp_path, ran).suspend()
    note(tmp_path, ran, *kept)
    assert restored(tmp_path) == ([ran, waited], [])
    assert not Journal(tmp_path, ran).stop_requested()
    assert (last_event(tmp_path / ran) or {})["event"] == "Queued"
    assert restored(tmp_path) == ([ran, waited], [])


@pytest.mark.parametrize("person", ["before", "after"])
@pytest.mark.parametrize("end", [STOPPED, *ENDS[1:]], ids=lambda end: type(end).__name__)
def test_what_a_person_stopped_or_what_came_to_its_end_rests_though_rushes_was_closed(
    tmp_path: Path, queue: DraftQueue, make_plan: PlanMaker, end: Event, person: str
) -> None:
    (draft,) = begin(tmp_path, make_plan(), 1)
    queue.put(draft)
    journal = Journal(tmp_path, draft)
    if person == "before" and end is STOPPED:
        journal.request_stop()
    journal.suspend()
    if person == "after" and end is STOPPED:
        journal.request_stop()
    note(tmp_path, draft, end)
    assert restored(tmp_path) == ([], [])
