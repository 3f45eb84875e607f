"""A draft as a page sees it: built from events, and the same again from the folder years later."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.drafts import status as status_module
from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.drafts.status import DraftRecord, DraftState, DraftStatus, read_record
from pipeline.events import (
    ChunkDenoised,
    Encoded,
    Event,
    Failed,
    Finished,
    Preview,
    Retreated,
    SliceReady,
    Started,
    StepDone,
    Stopped,
    WaitingForRoom,
)
from pipeline.plan.draft import DraftPlan
from tests.conftest import PlanMaker

PREVIEW = Preview(jpeg=b"\xff\xd8", frames=1, width=8, height=8)
FAILED = Failed(message="The disk is full.", hint="Make room.")
STOPPED = Stopped(file="draft.mp4", frames=49, chunks=1, seconds=9.0)


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(status_module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    """Three chunks of two steps, a slice each."""
    plan = make_plan(frames=97)
    assert (len(plan.chunks), len(plan.slices)) == (3, 3)
    return replace(plan, forecast=replace(plan.forecast, first_slice_seconds=40.0, total_seconds=100.0))


@pytest.fixture
def record(plan: DraftPlan) -> DraftRecord:
    return DraftRecord(draft=new_draft_id(), plan=plan.to_json(), fps=plan.spec.fps, stride=plan.spec.frame_stride)


def whole_draft(plan: DraftPlan, draft: str, *, step_seconds: float = 5.0) -> list[Event]:
    """Everything the engine says about a draft that ends well."""
    events: list[Event] = [Started(draft=draft, plan=plan), Encoded(sentences=2, cached=0, seconds=0.5)]
    for chunk, piece in zip(plan.chunks, plan.slices, strict=True):
        events += [
            StepDone(chunk=chunk.index, step=step, steps=2, seconds=step_seconds, preview=PREVIEW) for step in (1, 2)
        ]
        events.append(ChunkDenoised(chunk=chunk.index, seconds=2 * step_seconds))
        events.append(
            SliceReady(
                index=piece.index,
                chunk=chunk.index,
                file=f"slice-{piece.index:03d}.mp4",
                first_frame=piece.first_frame,
                frames=piece.frames,
                seconds=1.0,
            )
        )
    return [*events, Finished(file="draft.mp4", frames=97, seconds=34.0, peak_bytes=123)]


def after(record: DraftRecord, events: list[Event]) -> DraftStatus:
    for event in events:
        record.apply(event)
    return record.snapshot()


# From events --------------------------------------------------------------------------------------------------------
def test_a_new_draft_waits_and_promises_nothing(record: DraftRecord, plan: DraftPlan) -> None:
    now = record.snapshot(ahead=2)
    assert (now.state, now.ahead, now.version) == (DraftState.QUEUED, 2, 0)
    assert (now.eta_seconds, now.first_slice_eta_seconds, now.elapsed_seconds) == (None, None, None)
    assert (now.chunks, now.steps, now.fps) == (3, 2, 24)
    assert now.seconds == pytest.approx(97 / 24)
    assert now.chunk_stops_seconds == pytest.approx([(8 * (chunk.stop - 1) + 1) / 24 for chunk in plan.chunks])
    assert now.chunk_stops_seconds[-1] == pytest.approx(now.seconds)


def test_a_draft_is_followed_step_by_step(record: DraftRecord, plan: DraftPlan) -> None:
    events = whole_draft(plan, record.draft)
    seen = [after(record, [event]) for event in events]
    assert [status.version for status in seen] == list(range(1, len(events) + 1))
    assert [status.state for status in seen] == [DraftState.RUNNING] * (len(events) - 1) + [DraftState.FINISHED]
    steps = [(status.chunk, status.step) for status in seen[2:-1]]
    assert steps == [(0, 1), (0, 2), (1, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 0), (2, 1), (2, 2), (2, 0), (2, 0)]
    assert seen[3].preview is PREVIEW
    end = seen[-1]
    assert (end.video, end.video_frames, end.chunks_done, len(end.slices)) == ("draft.mp4", 97, 3, 3)
    assert (end.preview, end.eta_seconds, end.elapsed_seconds) == (None, None, 34.0)


def test_a_step_without_a_picture_keeps_the_one_before(record: DraftRecord, plan: DraftPlan) -> None:
    after(record, whole_draft(plan, record.draft)[:3])
    assert after(record, [StepDone(chunk=0, step=2, steps=2, seconds=1, preview=None)]).preview is PREVIEW


def test_a_stage_that_began_again_is_told_and_its_steps_are_counted_anew(record: DraftRecord, plan: DraftPlan) -> None:
    record.apply(Started(draft="x", plan=plan))
    record.apply(StepDone(chunk=0, step=2, steps=plan.request.steps, seconds=1.0, preview=None))
    record.apply(Retreated(stage="denoise", reason="why"))
    now = record.snapshot()
    assert (now.retreated_in, now.step, now.chunks_done) == ("denoise", 0, 0)


def test_a_stopped_draft_says_what_was_kept(record: DraftRecord, plan: DraftPlan) -> None:
    end = after(record, [*whole_draft(plan, record.draft)[:8], STOPPED])
    assert (end.state, end.video, end.video_frames, end.chunks_done) == (DraftState.STOPPED, "draft.mp4", 49, 1)
    assert end.elapsed_seconds == 9.0


def test_a_stop_saved_what_the_rest_would_have_taken(record: DraftRecord, plan: DraftPlan) -> None:
    forecast = DraftRecord(draft=record.draft, plan=record.plan, fps=record.fps, stride=record.stride)
    forecast.apply(Stopped(file=None, frames=0, chunks=0, seconds=0.0))
    assert forecast.snapshot().saved_seconds == 100.0  # nothing measured: all that was forecast
    running = after(record, whole_draft(plan, record.draft)[:-3])
    assert running.saved_seconds is None
    record.apply(STOPPED)
    assert record.snapshot().saved_seconds == running.eta_seconds


def test_a_failed_draft_says_why_and_its_clock_stands_still(record: DraftRecord, plan: DraftPlan, clock: Clock) -> None:
    after(record, whole_draft(plan, record.draft)[:8])
    clock.now += 12
    after(record, [FAILED])
    clock.now += 100
    end = record.snapshot()
    assert (end.state, end.message, end.hint) == (DraftState.FAILED, FAILED.message, FAILED.hint)
    assert (end.elapsed_seconds, end.eta_seconds, len(end.slices)) == (12, None, 1)


def test_a_stop_shows_at_once_and_until_the_engine_answers(record: DraftRecord, plan: DraftPlan) -> None:
    events = whole_draft(plan, record.draft)
    record.mark_stopping()
    assert record.snapshot().version == 1
    assert after(record, events[:4]).state is DraftState.STOPPING
    record.mark_stopping()
    assert after(record, [STOPPED]).state is DraftState.STOPPED
    record.mark_stopping()
    assert record.snapshot().state is DraftState.STOPPED


NO_ROOM = WaitingForRoom(need_bytes=2**24, free_bytes=2**20)


@pytest.mark.fault(16)
@pytest.mark.parametrize("events", [0, 3, 8], ids=["before it began", "within a chunk", "between chunks"])
def test_a_draft_that_waits_for_room_says_so_until_it_goes_on(
    record: DraftRecord, plan: DraftPlan, events: int
) -> None:
    whole = whole_draft(plan, record.draft)
    before = after(record, whole[:events])
    waiting = after(record, [NO_ROOM, NO_ROOM])
    assert (waiting.state, waiting.room) == (DraftState.NO_ROOM, NO_ROOM)
    assert waiting.version == before.version + 2
    assert (waiting.slices, waiting.chunks_done) == (before.slices, before.chunks_done)
    now = after(record, whole[events : events + 1])
    assert (now.state, now.room) == (DraftState.RUNNING, None)


def test_a_stop_shows_while_it_waits_for_room(record: DraftRecord, plan: DraftPlan) -> None:
    after(record, [*whole_draft(plan, record.draft)[:3], NO_ROOM])
    record.mark_stopping()
    assert after(record, [NO_ROOM]).state is DraftState.STOPPING
    end = after(record, [STOPPED])
    assert (end.state, end.room) == (DraftState.STOPPED, None)


@pytest.mark.parametrize("state", DraftState)
def test_a_draft_is_over_when_nothing_more_will_come(state: DraftState) -> None:
    assert state.over is (state in {DraftState.FINISHED, DraftState.STOPPED, DraftState.FAILED})


# How long it still takes --------------------------------------------------------------------------------------------
def test_until_the_first_step_the_forecast_counts_down(record: DraftRecord, plan: DraftPlan, clock: Clock) -> None:
    after(record, whole_draft(plan, record.draft)[:2])
    clock.now += 10
    now = record.snapshot()
    assert (now.first_slice_eta_seconds, now.eta_seconds, now.elapsed_seconds) == (30, 90, 10)
    clock.now += 200
    assert record.snapshot().first_slice_eta_seconds == 1.0  # never "now", never in the past


def test_then_measured_steps_and_slices_count(record: DraftRecord, plan: DraftPlan) -> None:
    events = whole_draft(plan, record.draft, step_seconds=5.0)
    first_step = after(record, events[:3])
    assert first_step.first_slice_eta_seconds == pytest.approx(1 * 5 + 20)  # a slice not yet measured: four steps
    assert first_step.eta_seconds == pytest.approx(5 * 5 + 3 * 20)
    first_slice = after(record, events[3:6])
    assert first_slice.first_slice_eta_seconds is None
    assert first_slice.eta_seconds == pytest.approx(4 * 5 + 2 * 1)


def test_the_remaining_time_falls_to_nothing(record: DraftRecord, plan: DraftPlan) -> None:
    etas = [after(record, [event]).eta_seconds for event in whole_draft(plan, record.draft)]
    assert etas[-1] is None
    left = [eta for eta in etas[5:-1] if eta is not None]  # from the first measured slice on
    assert len(left) == 9
    assert left == sorted(left, reverse=True)
    assert left[-1] == pytest.approx(0)


def test_a_slower_step_moves_the_estimate_a_little(record: DraftRecord, plan: DraftPlan) -> None:
    steps = [StepDone(chunk=0, step=n, steps=2, seconds=s, preview=None) for n, s in ((1, 1.0), (2, 11.0))]
    after(record, [Started(draft=record.draft, plan=plan), *steps])
    mean = 1 + 0.3 * 10
    assert record.snapshot().first_slice_eta_seconds == pytest.approx(0 * mean + 4 * mean)


# From the folder ----------------------------------------------------------------------------------------------------
@pytest.fixture
def journal(tmp_path: Path, plan: DraftPlan) -> Journal:
    journal = Journal(tmp_path, new_draft_id())
    journal.begin(plan)
    return journal


def write(journal: Journal, events: list[Event]) -> None:
    for event in events:
        journal.note(event)
        if isinstance(event, SliceReady):
            journal.path(event.file).write_bytes(b"film")


def read(journal: Journal) -> DraftStatus:
    record = read_record(journal, fps=24, stride=8)
    assert record is not None
    return record.snapshot()


@pytest.mark.parametrize("end", [None, STOPPED], ids=["finished", "stopped"])
def test_an_old_draft_looks_as_it_did(journal: Journal, plan: DraftPlan, end: Event | None) -> None:
    events = whole_draft(plan, journal.draft)
    events = events if end is None else [*events[:8], end]
    write(journal, events)
    live = DraftRecord(draft=journal.draft, plan=plan.to_json(), fps=24, stride=8)
    expected, found = after(live, events), read(journal)
    # As JSON: lists stand for tuples there, and the plan of a folder is JSON.
    shown = {"version": 0, "slices": [], "request": None}
    assert replace(found, **shown) == replace(expected, **shown)
    assert found.slices == expected.slices
    assert json.dumps(found.request, default=vars, sort_keys=True) == json.dumps(expected.request, sort_keys=True)


def test_a_draft_that_nobody_works_on_any_more_failed_with_its_slices(journal: Journal, plan: DraftPlan) -> None:
    write(journal, whole_draft(plan, journal.draft)[:8])
    found = read(journal)
    assert found.state is DraftState.FAILED
    assert found.message == "Rushes was closed while this draft was being made."
    assert found.hint == "1 of 3 chunks were kept."
    assert [piece.index for piece in found.slices] == [0]


def test_a_draft_that_never_began_failed_too(journal: Journal) -> None:
    found = read(journal)
    assert (found.state, found.hint, found.slices) == (DraftState.FAILED, "0 of 3 chunks were kept.", ())


def test_slices_whose_files_are_gone_are_left_out(journal: Journal, plan: DraftPlan) -> None:
    write(journal, whole_draft(plan, journal.draft))
    journal.slice_path(1).unlink()
    assert [piece.index for piece in read(journal).slices] == [0, 2]


@pytest.mark.fault(35)
def test_events_of_another_version_are_passed_over(journal: Journal, plan: DraftPlan) -> None:
    write(journal, whole_draft(plan, journal.draft))
    with journal.path("events.jsonl").open("a") as file:
        file.write(
            '{"event": "Upscaled", "at": 1.0}\n{"event": "Encoded", "at": 1.0, "language": "en"}\n{"event": "Fai'
        )
    assert read(journal).state is DraftState.FINISHED


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_folder_without_a_plan_is_no_draft(tmp_path: Path, content: str | None) -> None:
    journal = Journal(tmp_path, new_draft_id())
    journal.folder.mkdir()
    if content is not None:
        journal.path("plan.json").write_text(content)
    assert read_record(journal, fps=24, stride=8) is None
