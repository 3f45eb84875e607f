"""The engine's own process and its register, with the shipped miniature: only states and files matter here."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal, read_events
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import Closing, DraftsInUse, InvalidRequest, QueueFull, WriteFailed
from pipeline.plan.draft import DraftPlan
from pipeline.plan.spec import VideoShape
from pipeline.worker import LONGEST_QUEUE, Worker
from tests.conftest import PlanMaker
from tests.source import ROOT
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


def test_a_draft_that_is_paused_steps_aside_and_comes_first_when_it_goes_on(
    running: Worker, medium: DraftPlan, short: DraftPlan
) -> None:
    first, second = running.submit(medium), running.submit(short)
    follow(running, first, lambda status: status.chunks_done >= 1)
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


# Without ------------------------------------------------------------------------------------------------------------
def test_a_second_worker_on_the_same_folder_only_looks(idle: Worker, short: DraftPlan) -> None:
    draft = idle.submit(short)
    second = Worker(idle.drafts)
    second.start()
    assert second.read_only
    assert not idle.read_only
    seen = second.status(draft)
    assert seen is not None
    assert seen.state is DraftState.QUEUED
    assert [status.draft for status in second.recent(3)] == [draft]
    for making in (lambda: second.submit(short), lambda: second.resume(draft), lambda: second.stop(draft)):
        with pytest.raises(DraftsInUse, match=r"can only be looked at.*--drafts"):
            making()
    idle.stop(draft)
    now = second.status(draft)
    assert now is not None
    assert now.state is DraftState.STOPPED
    second.close()
    assert Worker(idle.drafts).read_only  # closing the second one gave nothing free
    idle.close()
    third = Worker(idle.drafts)
    assert not third.read_only
    third.close()


def test_a_lock_of_a_process_that_was_killed_is_no_lock(tmp_path: Path) -> None:
    lines = [
        "import pathlib, time",
        "from pipeline.drafts.lock import hold",
        f"lock = hold(pathlib.Path({str(tmp_path)!r}))",
        "print('held' if lock else 'not held', flush=True)",
        "time.sleep(600)",
    ]
    with subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, cwd=ROOT) as holder:
        assert holder.stdout is not None
        said = holder.stdout.readline()
        locked = Worker(tmp_path).read_only
        holder.kill()
    assert (said, locked) == (b"held\n", True)
    worker = Worker(tmp_path)
    assert (tmp_path / ".lock").exists()
    assert not worker.read_only
    worker.close()


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
    drafts = [idle.submit(short) for _ in range(LONGEST_QUEUE)]
    with pytest.raises(QueueFull, match=f"{LONGEST_QUEUE} drafts are waiting already"):
        idle.submit(short)
    assert idle.waiting() == drafts
    assert len(idle.recent(100)) == LONGEST_QUEUE
    idle.stop(drafts[3])
    idle.submit(short)


def test_a_draft_that_waits_can_be_taken_out_paused_and_put_back(idle: Worker, short: DraftPlan) -> None:
    first, second, third = (idle.submit(short) for _ in range(3))
    idle.stop(second)
    idle.stop(second)
    assert idle.waiting() == [first, third]
    idle.pause(first)
    assert idle.waiting() == [third]
    paused = idle.status(first)
    assert paused is not None
    assert (paused.state, paused.ahead) == (DraftState.PAUSED, 0)
    idle.resume(second)
    idle.resume(first)
    idle.resume(first)
    assert idle.waiting() == [first, third, second]
    assert [(idle.status(draft) or paused).ahead for draft in (first, third, second)] == [0, 1, 2]
    idle.pause(first)
    idle.stop(first)
    assert (idle.status(first) or paused).state is DraftState.STOPPED
    assert [row["event"] for row in read_events(idle.drafts / first)] == [
        *("Queued", "Paused", "Queued", "Paused", "Stopped")
    ]


def test_who_asks_twice_with_one_key_gets_one_draft_also_after_a_restart(idle: Worker, short: DraftPlan) -> None:
    first, other = idle.submit(short, "a client's key"), idle.submit(short, "another")
    assert idle.submit(short, "a client's key") == first != other
    idle.stop(first)
    assert idle.submit(short, "a client's key") == first
    idle.close()
    again = Worker(idle.drafts)
    assert again.submit(short, "another") == other
    assert again.waiting() == [other]
    assert len([folder for folder in idle.drafts.iterdir() if folder.is_dir()]) == 2
    again.close()


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
