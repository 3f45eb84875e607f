"""A row of a journal that is JSON but no event is as torn as one that is cut off: it stops nobody who reads them."""

import json

import pytest

from pipeline.drafts.journal import Journal, last_event, read_events
from pipeline.drafts.queue import DraftQueue
from pipeline.drafts.status import DraftState, read_record
from pipeline.drafts.surgery import begin_edit
from pipeline.engine import Engine
from pipeline.events import Event, Finished, SliceReady
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Redo
from pipeline.seams.film import find_film
from tests.tiny import of

pytestmark = pytest.mark.usefixtures("tiny")
ROWS = {
    "a number": "5",
    "nothing": "null",
    "a list": "[1]",
    "too deep": "[" * 100_000,
    "no name": '{"index": 0}',
    "a name that is none": '{"event": ["SliceReady"], "index": 0}',
    "an index that is none": '{"event": "SliceReady", "index": [1]}',
    "seconds that are none": (
        '{"event": "SliceReady", "index": 0, "chunk": 0, "file": "slice-000.mp4", "first_frame": 0, "frames": 41,'
        ' "seconds": "x"}'
    ),
    "seconds that are no number": '{"event": "ChunkDenoised", "chunk": 0, "seconds": NaN}',
    "seconds beyond all": json.dumps({"event": "ChunkDenoised", "chunk": 0, "seconds": 10**400}),
    "a file that is none": '{"event": "Finished", "file": 7, "frames": 97, "seconds": 1.0, "peak_bytes": 0}',
    "frames that are none": '{"event": "Stopped", "file": null, "frames": {}, "chunks": 0, "seconds": 1.0}',
    "a ticket that is none": '{"event": "Queued", "ticket": "first"}',
}


def append(journal: Journal, row: str) -> None:
    with journal.path("events.jsonl").open("a") as file:
        file.write(f"{row}\n")


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.fault(15)
def test_a_row_that_is_no_event_counts_as_torn(old: Journal, mine: Journal, row: str) -> None:
    append(mine, row)
    assert read_events(mine.folder) == read_events(old.folder)
    assert last_event(mine.folder) == last_event(old.folder)
    record = read_record(mine, fps=24, stride=8)
    assert record is not None
    assert record.state is DraftState.FINISHED
    assert find_film(mine.draft, mine.folder.parent).seams
    assert DraftQueue(mine.folder.parent, 3).restore(attempts=2) == []
    draft, _ = begin_edit(mine.folder.parent, mine.draft, Redo(chunk=2, seed=9))
    assert len(of_kind(Journal(mine.folder.parent, draft), "SliceReady")) == 2


@pytest.mark.fault(15)
def test_a_draft_with_such_rows_goes_on(mine: Journal, plan: DraftPlan) -> None:
    for row in ROWS.values():
        append(mine, row)
    events = list[Event]()
    Engine(mine.folder.parent).run(plan, mine.draft, events.append)
    assert isinstance(events[-1], Finished)
    assert not of(SliceReady, events)


def test_what_another_version_noted_is_passed_over(mine: Journal) -> None:
    append(mine, '{"event": "Upscaled", "index": [1], "seconds": "x"}')
    append(mine, '{"event": "Queued"}')
    assert read_events(mine.folder)[-2]["index"] == [1]
    assert DraftQueue(mine.folder.parent, 3).restore(attempts=2) == []
    begin_edit(mine.folder.parent, mine.draft, Redo(chunk=2, seed=9))


def of_kind(journal: Journal, kind: str) -> list[object]:
    return [row for row in read_events(journal.folder) if row["event"] == kind]
