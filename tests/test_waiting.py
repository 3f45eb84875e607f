"""The worker without a process: who holds the folder, what waits in which order, what is refused."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal, read_events
from pipeline.drafts.status import DraftState
from pipeline.errors import DraftsInUse, InvalidRequest, QueueFull, WriteFailed
from pipeline.events import Finished
from pipeline.plan.draft import DraftPlan
from pipeline.worker import LONGEST_QUEUE, Worker
from tests.source import ROOT
from tests.workers import idle, short

__all__ = ["idle", "short"]


@pytest.mark.fault(34)
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


@pytest.mark.fault(34)
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


@pytest.mark.fault(25)
def test_too_long_a_queue_is_refused_in_a_sentence(idle: Worker, short: DraftPlan) -> None:
    drafts = [idle.submit(short) for _ in range(LONGEST_QUEUE)]
    with pytest.raises(QueueFull, match=f"{LONGEST_QUEUE} drafts are waiting already"):
        idle.submit(short)
    assert idle.waiting() == drafts
    assert len(idle.recent(100)) == LONGEST_QUEUE
    idle.stop(drafts[3])
    idle.submit(short)


@pytest.mark.fault(8, 10)
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


@pytest.mark.fault(42)
def test_who_asks_twice_with_one_key_gets_one_draft_also_after_a_restart(idle: Worker, short: DraftPlan) -> None:
    first, other = idle.submit(short, "a client's key"), idle.submit(short, "another")
    assert idle.submit(short, "a client's key") == first != other
    idle.stop(first)
    assert idle.submit(short, "a client's key") == first
    idle.close()
    again = Worker(idle.drafts)
    assert again.submit(short, "another") == other
    assert again.waiting() == [other]
    assert again.health().drafts[DraftState.QUEUED] == 1  # also of those that nobody has looked at yet
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


def test_what_is_no_draft_cannot_go_on(idle: Worker) -> None:
    for name in ("../../etc", "20260101-000000-0123456789abcdef"):
        with pytest.raises(InvalidRequest, match="no such draft"):
            idle.resume(name)


def test_a_waiting_draft_is_not_deleted_and_a_stopped_one_is(idle: Worker, short: DraftPlan) -> None:
    draft = idle.submit(short)
    with pytest.raises(InvalidRequest, match=r"waiting or being made\. Stop it first\."):
        idle.delete(draft)
    assert (idle.drafts / draft).is_dir()
    idle.stop(draft)
    assert idle.delete(draft) > 0
    assert idle.status(draft) is None
    assert not (idle.drafts / draft).exists()
    with pytest.raises(InvalidRequest, match="There is no draft"):
        idle.delete(draft)


def test_old_drafts_go_when_there_is_a_limit_and_what_was_half_deleted_goes_always(
    tmp_path: Path, short: DraftPlan
) -> None:
    for number in (1, 2):
        journal = Journal(tmp_path, f"2026010{number}-120000-0123456789abcdef")
        journal.begin(short)
        journal.video_path().touch()
        journal.note(Finished(file="draft.mp4", frames=9, seconds=1.0, peak_bytes=1))
    (tmp_path / ".deleted-20260101-120000-0123456789abcdef").mkdir()
    Worker(tmp_path).close()
    assert sorted(path.name[:8] for path in tmp_path.iterdir() if path.is_dir()) == ["20260101", "20260102"]
    Worker(tmp_path, keep_bytes=1).close()
    assert [path.name[:8] for path in tmp_path.iterdir() if path.is_dir()] == ["20260102"]


def test_a_link_that_is_called_like_a_draft_and_leads_nowhere_is_in_nobodys_way(
    tmp_path: Path, short: DraftPlan
) -> None:
    link = tmp_path / "20260101-120000-0123456789abcdef"
    link.symlink_to(link)
    worker = Worker(tmp_path, keep_bytes=1)
    draft = worker.submit(short)
    worker.engine_said(draft, Finished(file="draft.mp4", frames=9, seconds=1.0, peak_bytes=1))
    assert worker.status(link.name) is None
    worker.close()


def test_a_draft_that_just_ended_is_not_deleted_to_make_room_however_old_it_is(
    tmp_path: Path, short: DraftPlan
) -> None:
    """Nor the one that another process worked on meanwhile."""
    worker = Worker(tmp_path, keep_bytes=1)
    old, first, last = (f"202601{day:02d}-120000-0123456789abcdef" for day in (1, 2, 3))
    finished = Finished(file="draft.mp4", frames=9, seconds=1.0, peak_bytes=1)
    for name, ended in ((first, 3600), (last, time.time() + 3600), (old, time.time())):
        journal = Journal(tmp_path, name)
        journal.begin(short)
        journal.video_path().write_bytes(b"film")
        journal.note(finished)
        os.utime(journal.path("events.jsonl"), (ended, ended))
        assert worker.status(name) is not None
    worker.engine_said(old, finished)
    assert [worker.status(name) is None for name in (old, first, last)] == [False, True, False]
    worker.close()
