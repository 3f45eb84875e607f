"""What happened to a draft is noted line by line: nothing that tears a line hides another."""

from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal, read_events
from pipeline.events import Failed, Preview, Retreated, Started, StepDone
from pipeline.plan.draft import DraftPlan
from tests.drafts.noted import ENCODED, SLICE, journal, plan

__all__ = ["journal", "plan"]


def test_events_are_read_back_in_order_with_their_values(journal: Journal, plan: DraftPlan) -> None:
    events = (
        Started(draft=journal.draft, plan=plan),
        ENCODED,
        SLICE,
        Failed(message="Es ging schief: 坏了", hint=""),
    )
    for event in events:
        journal.note(event)
    rows = read_events(journal.folder)
    assert [row["event"] for row in rows] == ["Started", "Encoded", "SliceReady", "Failed"]
    assert rows[0]["draft"] == journal.draft
    assert rows[2] | asdict(SLICE) == rows[2]
    assert rows[3]["message"] == "Es ging schief: 坏了"
    assert all(abs(row["at"] - rows[0]["at"]) < 60 for row in rows)


def test_pictures_stay_out_of_the_events(journal: Journal) -> None:
    preview = Preview(jpeg=b"\xff\xd8" * 1000, frames=7, width=64, height=40)
    journal.note(StepDone(chunk=0, step=1, steps=20, seconds=0.1, preview=preview))
    assert journal.path("events.jsonl").stat().st_size < 200
    assert read_events(journal.folder)[0]["preview"] is None


def test_a_new_plan_is_in_its_own_file_not_among_the_events(journal: Journal, plan: DraftPlan) -> None:
    journal.note(Retreated(stage="denoise", reason="why", plan=plan))
    (row,) = read_events(journal.folder)
    assert (row["event"], row["reason"], row["plan"]) == ("Retreated", "why", None)


def test_a_message_with_any_line_separator_stays_one_event(journal: Journal) -> None:
    text = "one\u2028two\u0085three\nfour\x0bfive"
    journal.note(Failed(message=text, hint=""))
    assert [row["message"] for row in read_events(journal.folder)] == [text]


def test_a_draft_without_events_has_none(tmp_path: Path) -> None:
    assert read_events(tmp_path / "nowhere") == []


@pytest.mark.fault(15)
def test_a_line_torn_anywhere_is_ignored_and_hides_no_other(journal: Journal) -> None:
    """Cut at every byte, inside a character too, as a crash would; then go on as the next process would."""
    path = journal.path("events.jsonl")
    journal.note(ENCODED)
    whole = path.read_bytes()
    journal.note(Failed(message="坏了", hint=""))
    lines = path.read_bytes()
    for cut in range(len(whole) + 1, len(lines) - 1):
        path.write_bytes(lines[:cut])
        assert [row["event"] for row in read_events(journal.folder)] == ["Encoded"], cut
        journal.note(SLICE)
        assert [row["event"] for row in read_events(journal.folder)] == ["Encoded", "SliceReady"], cut
