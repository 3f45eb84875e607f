"""The worker with its process and the shipped miniature: only states and files matter here."""

from collections.abc import Iterator

import pytest

from pipeline.drafts.journal import read_events
from pipeline.drafts.status import DraftState
from pipeline.errors import Closing
from pipeline.plan.draft import DraftPlan
from pipeline.worker import Worker
from tests.tiny import count_frames
from tests.workers import follow, long, medium, over, short

__all__ = ["long", "medium", "short"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker with its process for the whole file: starting it costs seconds."""
    worker = Worker(tmp_path_factory.mktemp("drafts"))
    worker.start()
    yield worker
    worker.close()


def test_a_draft_is_followed_to_its_end(running: Worker, short: DraftPlan) -> None:
    draft = running.submit(short)
    end = follow(running, draft, over)
    assert running.ready
    assert (end.state, end.video, end.video_frames, end.message) == (DraftState.FINISHED, "draft.mp4", 9, "")
    assert [piece.file for piece in end.slices] == ["slice-000.mp4"]
    assert count_frames(running.drafts / draft / "draft.mp4") == 9


@pytest.mark.fault(8, 10)
def test_drafts_are_made_in_order_and_stopped_waiting_or_running(
    running: Worker, long: DraftPlan, short: DraftPlan
) -> None:
    first, second, third = (running.submit(plan) for plan in (long, short, short))
    follow(running, first, lambda status: len(status.slices) >= 1)
    waiting = [running.status(draft) for draft in (second, third)]
    assert [(s.state, s.ahead) for s in waiting if s] == [(DraftState.QUEUED, 1), (DraftState.QUEUED, 2)]

    running.stop(second)
    stopped = running.status(second)
    assert stopped is not None
    assert (stopped.state, stopped.video) == (DraftState.STOPPED, None)
    assert [row["event"] for row in read_events(running.drafts / second)] == ["Queued", "Stopped"]
    third_now = running.status(third)
    assert third_now is not None
    assert third_now.ahead == 1

    running.stop(first)
    asked = running.status(first)
    assert asked is not None
    assert asked.state in (DraftState.STOPPING, DraftState.STOPPED)
    kept = follow(running, first, over)
    assert kept.state is DraftState.STOPPED
    assert 49 <= kept.video_frames < 1441
    assert count_frames(running.drafts / first / "draft.mp4") == kept.video_frames

    assert follow(running, third, over).state is DraftState.FINISHED
    running.stop(third)
    assert (running.status(third) or kept).state is DraftState.FINISHED


def test_a_draft_that_was_stopped_goes_on_when_asked(running: Worker, medium: DraftPlan) -> None:
    draft = running.submit(medium)
    follow(running, draft, lambda status: len(status.slices) >= 1)
    running.stop(draft)
    stopped = follow(running, draft, over)
    assert stopped.state is DraftState.STOPPED
    running.resume(draft)
    again = running.status(draft)
    assert again is not None
    assert again.state in (DraftState.QUEUED, DraftState.RUNNING)
    assert again.chunks_done == stopped.chunks_done
    finished = follow(running, draft, over)
    assert finished.state is DraftState.FINISHED
    assert finished.video_frames == medium.request.frames == count_frames(running.drafts / draft / "draft.mp4")
    running.resume(draft)  # nothing is left to do
    assert (running.status(draft) or stopped).state is DraftState.FINISHED


def test_a_draft_that_is_paused_steps_aside_and_comes_first_when_it_goes_on(
    running: Worker, medium: DraftPlan, short: DraftPlan
) -> None:
    first, second = running.submit(medium), running.submit(short)
    follow(running, first, lambda status: len(status.slices) >= 1)
    running.pause(first)
    running.pause(first)
    rested = follow(running, first, lambda status: status.state is DraftState.PAUSED)
    assert not rested.state.over
    assert 0 < rested.video_frames < medium.request.frames
    assert follow(running, second, over).state is DraftState.FINISHED
    assert running.status(first) == rested

    running.pause(first)  # nothing more to do
    follow(running, first, lambda status: status.version == rested.version)
    third, fourth = running.submit(medium), running.submit(short)
    follow(running, third, lambda status: status.state is DraftState.RUNNING)
    running.resume(first)
    assert running.waiting() == [first, fourth]
    running.stop(third)
    assert follow(running, first, over).state is DraftState.FINISHED
    assert count_frames(running.drafts / first / "draft.mp4") == medium.request.frames
    assert follow(running, third, over).state is DraftState.STOPPED


def test_a_finished_draft_makes_the_older_ones_go(running: Worker, short: DraftPlan) -> None:
    first = running.submit(short)
    assert follow(running, first, over).state is DraftState.FINISHED
    running.keep_bytes = 1
    second = running.submit(short)
    assert follow(running, second, over).state is DraftState.FINISHED
    running.keep_bytes = None
    assert running.status(first) is None
    assert count_frames(running.drafts / second / "draft.mp4") == 9


@pytest.mark.fault(12)
def test_closing_ends_the_process_soon_and_the_next_start_goes_on(
    running: Worker, medium: DraftPlan, short: DraftPlan
) -> None:
    """The last test of the process: a running draft keeps what is finished and waits, before those that waited."""
    drafts = [running.submit(plan) for plan in (medium, short, short)]
    follow(running, drafts[0], lambda status: status.step > 0)
    running.close()
    assert running._engine.exit_code == 0
    assert read_events(running.drafts / drafts[0])[-2]["event"] == "Stopped"
    with pytest.raises(Closing, match="closing"):
        running.submit(short)
    again = Worker(running.drafts)
    try:
        assert again.waiting() == drafts
        states = [status.state for status in map(again.status, drafts) if status]
        assert states == [DraftState.QUEUED] * 3
        again.start()
        ends = [follow(again, draft, over) for draft in drafts]
    finally:
        again.close()
    assert [end.state for end in ends] == [DraftState.FINISHED] * 3
    assert [end.video_frames for end in ends] == [medium.request.frames, 9, 9]
