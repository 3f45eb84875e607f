"""The engine's own process and its register, with the shipped miniature: only states and files matter here."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import worker as worker_module
from pipeline.drafts.journal import Journal, read_events
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import DraftError, DraftsInUse, InvalidRequest, WriteFailed
from pipeline.plan.draft import DraftPlan
from pipeline.plan.spec import VideoShape
from pipeline.worker import LONGEST_QUEUE, Worker
from tests.conftest import PlanMaker
from tests.tiny import count_frames

PATIENCE_SECONDS = 120  # far more than a quiet machine needs


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker with its process for the whole file: starting it costs seconds."""
    worker = Worker(tmp_path_factory.mktemp("drafts"))
    worker.start()
    yield worker
    worker.close()


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Worker]:
    """A worker without a process: what is submitted waits."""
    worker = Worker(tmp_path / "drafts")
    yield worker
    worker.close()


@pytest.fixture
def short(make_plan: PlanMaker) -> DraftPlan:
    return make_plan(shape=VideoShape(width=96, height=96), frames=9, steps=1, guidance=1.0)


@pytest.fixture
def medium(make_plan: PlanMaker) -> DraftPlan:
    """A few seconds in several chunks."""
    return make_plan(shape=VideoShape(width=96, height=96), frames=241, steps=4, guidance=1.0)


@pytest.fixture
def long(make_plan: PlanMaker) -> DraftPlan:
    """A minute of film: far longer than any test waits for."""
    return make_plan(shape=VideoShape(width=96, height=96), frames=1441, steps=4, guidance=1.0)


def follow(worker: Worker, draft: str, until: Callable[[DraftStatus], bool]) -> DraftStatus:
    """As the page does: wait for each change until it is what one waits for."""
    version, deadline = -1, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        status = worker.wait(draft, version, 1.0)
        assert status is not None
        if until(status):
            return status
        version = status.version
    raise AssertionError(f"after {PATIENCE_SECONDS} s: {status}")


def over(status: DraftStatus) -> bool:
    return status.state.over


# With its process ---------------------------------------------------------------------------------------------------
def test_a_draft_is_followed_to_its_end(running: Worker, short: DraftPlan) -> None:
    draft = running.submit(short)
    end = follow(running, draft, over)
    assert running.ready
    assert (end.state, end.video, end.video_frames, end.message) == (DraftState.FINISHED, "draft.mp4", 9, "")
    assert [piece.file for piece in end.slices] == ["slice-000.mp4"]
    assert count_frames(running.drafts / draft / "draft.mp4") == 9


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
    assert [row["event"] for row in read_events(running.drafts / second)] == ["Stopped"]
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


def kill(worker: Worker) -> None:
    assert worker._process is not None
    assert worker._process.pid is not None
    os.kill(worker._process.pid, signal.SIGKILL)


def test_a_draft_whose_process_was_killed_goes_on_by_itself_once(
    running: Worker, long: DraftPlan, short: DraftPlan
) -> None:
    lost, waiting = running.submit(long), running.submit(short)
    seen = follow(running, lost, lambda status: len(status.slices) >= 1)
    kill(running)
    gone_on = follow(running, lost, lambda status: len(status.slices) > len(seen.slices) + 1)
    assert gone_on.state is DraftState.RUNNING
    events = read_events(running.drafts / lost)
    done = [(row["chunk"], row["step"]) for row in events if row["event"] == "StepDone"]
    assert len([step for step in done if step[0] < seen.chunks_done]) == seen.chunks_done * long.request.steps
    kill(running)
    failed = follow(running, lost, over)
    assert failed.state is DraftState.FAILED
    assert failed.message == worker_module.DIED.message
    assert failed.slices
    for piece in failed.slices:
        assert count_frames(running.drafts / lost / piece.file) == piece.frames
    assert read_events(running.drafts / lost)[-1]["event"] == "Failed"
    assert follow(running, waiting, over).state is DraftState.FINISHED


def test_a_draft_that_was_stopped_goes_on_when_asked(running: Worker, medium: DraftPlan) -> None:
    draft = running.submit(medium)
    follow(running, draft, lambda status: status.chunks_done >= 1)
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


def test_what_is_no_draft_cannot_go_on(idle: Worker) -> None:
    for name in ("../../etc", "20260101-000000-0123456789abcdef"):
        with pytest.raises(InvalidRequest, match="no such draft"):
            idle.resume(name)


def test_closing_ends_the_process_at_once_and_frees_the_folder(running: Worker, long: DraftPlan) -> None:
    """The last test of the process: it stops a running draft too."""
    draft = running.submit(long)
    follow(running, draft, lambda status: status.step > 0)
    process = running._process
    running.close()
    assert process is not None
    assert not process.is_alive()
    assert process.exitcode == 0
    again = Worker(running.drafts)
    status = again.status(draft)
    again.close()
    assert status is not None
    assert status.state is DraftState.STOPPED


# Without ------------------------------------------------------------------------------------------------------------
def test_a_second_worker_on_the_same_folder_is_refused(idle: Worker) -> None:
    with pytest.raises(DraftsInUse, match="--drafts"):
        Worker(idle.drafts)
    idle.close()
    Worker(idle.drafts).close()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I am a file")
    for folder in (tmp_path / "file", tmp_path / "file" / "drafts"):
        with pytest.raises(WriteFailed, match="cannot be written"):
            Worker(folder)


def test_a_submitted_draft_is_on_disk_before_anything_happens(idle: Worker, short: DraftPlan) -> None:
    draft = idle.submit(short)
    assert Journal(idle.drafts, draft).path("plan.json").exists()
    assert not idle.ready


def test_too_long_a_queue_is_refused_in_a_sentence(idle: Worker, short: DraftPlan) -> None:
    for _ in range(LONGEST_QUEUE):
        idle.submit(short)
    with pytest.raises(DraftError, match=f"{LONGEST_QUEUE} drafts are waiting already"):
        idle.submit(short)


def test_a_process_that_never_starts_fails_what_waits_for_it(
    idle: Worker, short: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "serve", exit_at_once)
    monkeypatch.setattr(worker_module, "RETRY_PAUSE_SECONDS", 600.0)
    draft = idle.submit(short)
    idle.start()
    failed = follow(idle, draft, over)
    assert (failed.state, failed.message) == (DraftState.FAILED, worker_module.NEVER_READY.message)


def exit_at_once(*_: object) -> None:
    """As a broken installation does."""


def test_waiting_for_a_change_ends_when_the_time_is_up(idle: Worker, short: DraftPlan) -> None:
    draft = idle.submit(short)
    began = time.monotonic()
    status = idle.wait(draft, 0, 0.2)
    assert time.monotonic() - began >= 0.2
    assert status is not None
    assert status.version == 0


@pytest.mark.parametrize("draft", ["", "../../etc", "20260101-000000-0123456789abcdef", "draft"])
def test_an_unknown_draft_is_nothing(idle: Worker, draft: str) -> None:
    assert idle.status(draft) is None
    assert idle.wait(draft, 0, 0.0) is None
    idle.stop(draft)
    assert not [path for path in idle.drafts.iterdir() if path.is_dir()]


def test_the_newest_drafts_come_first(idle: Worker, short: DraftPlan) -> None:
    names = [f"2026{month:02d}01-120000-{month:016x}" for month in (3, 1, 12, 7)]
    for name in names:
        Journal(idle.drafts, name).begin(short)
    (idle.drafts / ".embeddings").mkdir()
    (idle.drafts / "20261231-000000-ffffffffffffffff").mkdir()  # empty: no draft
    found = [status.draft for status in idle.recent(10)]
    assert found == [names[index] for index in (2, 3, 0, 1)]
    assert [status.draft for status in idle.recent(3)] == found[:2]
