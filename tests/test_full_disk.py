"""The disk fills up in the middle of a draft: it waits, goes on by itself, and ends as if nothing had been."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.drafts import room as room_module
from pipeline.drafts.journal import Journal, read_events
from pipeline.drafts.measurements import Measurements
from pipeline.drafts.room import LEAST_ROOM_BYTES
from pipeline.engine import Engine
from pipeline.errors import DiskFull, WriteFailed
from pipeline.events import ChunkDenoised, Event, Finished, SliceReady, StepDone, Stopped, WaitingForRoom
from pipeline.plan.draft import DraftPlan
from tests.test_resuming import DRAFT, alike, plan, whole
from tests.tiny import count_frames, of

__all__ = ["plan", "whole"]
pytestmark = [pytest.mark.usefixtures("tiny"), pytest.mark.fault(16)]
Emit = Callable[[Event], None]
WRITES = {
    "the embeddings": ("embeddings.safetensors", 0),
    "the first latents": ("chunk-000.latents.safetensors", 0),
    "a slice": ("slice-001.mp4", 0),
    "the last latents": ("chunk-002.latents.safetensors", 0),
    "the film": ("draft.mp4", 0),
    "the first event": ("events.jsonl", 0),
    "an event between steps": ("events.jsonl", 3),
}


class Disk:
    """Full from the moment that one file is written, until `free` is called: half of it was written then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.writes_before, self.full = "", 0, False
        writing, note = Journal.writing, Journal.note

        @contextmanager
        def write(journal: Journal, path: Path) -> Iterator[Path]:
            with writing(journal, path) as temporary:
                yield temporary
                if self._refuses(path.name):
                    temporary.write_bytes(temporary.read_bytes()[: temporary.stat().st_size // 2])
                    raise OSError(errno.ENOSPC, "No space left on device")

        def append(journal: Journal, event: Event) -> None:
            if self._refuses("events.jsonl"):
                with journal.path("events.jsonl").open("ab") as file:
                    file.write(b'{"event": "Step')
                raise DiskFull(str(journal.folder), "No space left on device.")
            note(journal, event)

        monkeypatch.setattr(Journal, "writing", write)
        monkeypatch.setattr(Journal, "note", append)
        monkeypatch.setattr(room_module, "POLL_SECONDS", 0.0)
        monkeypatch.setattr(room_module.Room, "_free_bytes", lambda _: 1000 if self.full else 2**40)

    def fill(self, name: str, writes_before: int = 0) -> None:
        self.name, self.writes_before = name, writes_before

    def free(self) -> None:
        self.name, self.full = "", False

    def _refuses(self, name: str) -> bool:
        if not self.full and name == self.name:
            self.writes_before -= 1
            self.full = self.writes_before < 0
        return self.full


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def run(drafts: Path, plan: DraftPlan, hear: Emit = lambda _: None) -> list[Event]:
    events = list[Event]()

    def emit(event: Event) -> None:
        events.append(event)
        hear(event)

    Engine(drafts).run(plan, DRAFT, emit)
    return events


def patient(disk: Disk, times: int = 3) -> Emit:
    """Somebody tidies up after the draft has said so some times."""
    heard = list[Event]()

    def hear(event: Event) -> None:
        if isinstance(event, WaitingForRoom):
            heard.append(event)
            if len(heard) == times:
                disk.free()

    return hear


def leftovers(drafts: Path) -> list[str]:
    return [path.name for path in (drafts / DRAFT).iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(("name", "writes_before"), WRITES.values(), ids=WRITES)
def test_it_waits_for_room_and_goes_on_by_itself(
    tmp_path: Path, whole: Path, plan: DraftPlan, disk: Disk, name: str, writes_before: int
) -> None:
    disk.fill(name, writes_before)
    events = run(tmp_path, plan, patient(disk))
    waits = of(WaitingForRoom, events)
    assert len(waits) == 3
    assert {wait.free_bytes for wait in waits} == {1000}
    assert all(wait.need_bytes >= LEAST_ROOM_BYTES for wait in waits)
    assert isinstance(events[-1], Finished)
    assert len(of(StepDone, events)) == 3 * plan.request.steps  # nothing is computed twice
    assert [piece.index for piece in of(SliceReady, events)] == [0, 1, 2]
    noted = [row["event"] for row in read_events(tmp_path / DRAFT)]
    assert noted == [type(event).__name__ for event in events if not isinstance(event, WaitingForRoom)]
    assert not leftovers(tmp_path)
    alike(tmp_path, whole, plan)


@pytest.mark.fault(14)
def test_while_it_waits_nothing_half_written_is_there_and_what_is_finished_is(
    tmp_path: Path, plan: DraftPlan, disk: Disk
) -> None:
    seen = list[set[str]]()

    def look(event: Event) -> None:
        if isinstance(event, WaitingForRoom):
            seen.append({path.name for path in (tmp_path / DRAFT).iterdir()})
            assert count_frames(tmp_path / DRAFT / "slice-000.mp4") == plan.slices[0].frames
            disk.free()

    disk.fill("slice-001.mp4")
    run(tmp_path, plan, look)
    (names,) = seen
    assert {"chunk-000.latents.safetensors", "chunk-001.latents.safetensors", "slice-000.mp4"} <= names
    assert not [name for name in names if name.startswith((".", "slice-001"))]


@pytest.mark.parametrize("name", ["embeddings.safetensors", "slice-001.mp4", "draft.mp4", "events.jsonl"])
def test_a_stop_while_it_waits_keeps_what_is_finished(
    tmp_path: Path, whole: Path, plan: DraftPlan, disk: Disk, name: str
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, WaitingForRoom):
            (tmp_path / DRAFT / "STOP").touch()

    disk.fill(name, writes_before=9 if name == "events.jsonl" else 0)
    events = run(tmp_path, plan, stop)
    end = events[-1]
    assert isinstance(end, Stopped)
    assert end.file is None  # no room to join them, and every slice that was ready can be played
    assert len(of(WaitingForRoom, events)) == 1
    pieces = sorted((tmp_path / DRAFT).glob("slice-*.mp4"))
    assert end.frames == sum(count_frames(piece) for piece in pieces)
    assert not leftovers(tmp_path)
    disk.free()
    again = run(tmp_path, Journal(tmp_path, DRAFT).take_up())
    assert isinstance(again[-1], Finished)
    kept = {event.chunk for event in of(ChunkDenoised, events)}
    assert not kept & {event.chunk for event in of(StepDone, again)}
    alike(tmp_path, whole, plan)


def test_a_draft_whose_turn_comes_when_there_is_no_room_waits(tmp_path: Path, plan: DraftPlan, disk: Disk) -> None:
    disk.full = True
    events = run(tmp_path, plan, patient(disk, times=2))
    assert [type(event).__name__ for event in events[:3]] == ["WaitingForRoom", "WaitingForRoom", "Started"]
    assert isinstance(events[-1], Finished)


def test_the_need_is_the_forecast_less_what_is_written(tmp_path: Path, plan: DraftPlan) -> None:
    journal = Journal(tmp_path, DRAFT)
    room = room_module.Room(journal, 2**30, lambda _: None)
    assert room.rest_bytes() == 2**30
    journal.begin(plan)
    written = sum(path.stat().st_size for path in journal.folder.iterdir())
    assert room.rest_bytes() == 2**30 - written
    assert room_module.Room(journal, written, lambda _: None).rest_bytes() == LEAST_ROOM_BYTES


def test_a_quota_that_nobody_can_see_is_waited_for_as_well(
    tmp_path: Path, plan: DraftPlan, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module.Room, "_free_bytes", lambda _: 2**40)
    disk.fill("slice-000.mp4")
    events = run(tmp_path, plan, patient(disk))
    assert len(of(WaitingForRoom, events)) == 3
    assert isinstance(events[-1], Finished)


def test_another_refusal_than_a_full_disk_is_not_waited_for(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pipeline.drafts.journal.os.fsync", refuse)
    with pytest.raises(WriteFailed, match="Input/output error") as refusal:
        run(tmp_path, plan)
    assert not isinstance(refusal.value, DiskFull)


def test_a_draft_that_waited_teaches_nothing_about_time(
    tmp_path: Path, plan: DraftPlan, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = list[DraftPlan]()
    monkeypatch.setattr(Measurements, "record_draft", lambda _, plan, *__, **___: taught.append(plan))
    disk.fill("slice-001.mp4")
    run(tmp_path, plan, patient(disk))
    assert not taught
