"""A draft as a page sees it: a snapshot that can be drawn at any time, built from what the engine said.

The same rules read a running draft's events and an old draft's folder, so both look alike.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.drafts.journal import Journal, read_events, read_json
from pipeline.drafts.lock import is_claimed
from pipeline.events import (
    ChunkDenoised,
    Encoded,
    Event,
    Failed,
    Finished,
    Paused,
    Preview,
    Queued,
    Retreated,
    SliceReady,
    Started,
    StepDone,
    Stopped,
    WaitingForRoom,
)
from pipeline.plan.chunks import Chunk
from pipeline.plan.scenes import chunk_stops

logger = logging.getLogger(__name__)

SMOOTHING = 0.3  # weight of the newest step in the running mean of step times


class DraftState(StrEnum):
    """Where a draft stands."""

    QUEUED = "queued"
    RUNNING = "running"
    NO_ROOM = "no_room"
    STOPPING = "stopping"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self in (DraftState.FINISHED, DraftState.STOPPED, DraftState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftStatus:
    """A snapshot of one draft. `version` grows with every change; `request` and shapes are plain values.

    `retreated_in` names the stage that ran out of memory last and went on in a way that takes less; empty if none did.
    `room` says what it waits for while the disk is full.
    `parent` is the draft it was made from; empty if from nothing but a request. `saved_seconds` is what stopping it
    saved, by what was measured until then; None if it was not stopped.
    """

    draft: str
    version: int
    state: DraftState
    request: Mapping[str, Any]
    ahead: int
    chunks: int
    chunk: int
    step: int
    steps: int
    chunks_done: int
    chunk_stops_seconds: tuple[float, ...]
    slices: tuple[SliceReady, ...]
    preview: Preview | None
    fps: int
    seconds: float
    eta_seconds: float | None
    first_slice_eta_seconds: float | None
    elapsed_seconds: float | None
    forecast_seconds: float
    video: str | None
    video_frames: int
    message: str
    hint: str
    retreated_in: str
    chunk_prompts: tuple[str, ...] = ()
    parent: str = ""
    room: WaitingForRoom | None = None
    saved_seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class DraftRecord:
    """What is known about a draft; changed by `apply`, looked at through `snapshot`.

    `plan` is `DraftPlan.to_json()`, `fps` and `stride` its model's clock and frames a latent. One that is `elsewhere`
    is made by another process, or was until it was cut off: what happens to it is told to its folder only; it had been
    told `noted_bytes` when that was looked at, 0 before.
    """

    draft: str
    plan: Mapping[str, Any]
    fps: int
    stride: int
    state: DraftState = DraftState.QUEUED
    version: int = 0
    chunk: int = 0
    step: int = 0
    chunks_done: int = 0
    slices: list[SliceReady] = field(default_factory=list)
    preview: Preview | None = None
    video: str | None = None
    video_frames: int = 0
    message: str = ""
    hint: str = ""
    retreated_in: str = ""
    room: WaitingForRoom | None = None
    elsewhere: bool = False
    noted_bytes: int = 0
    _began: float | None = None
    _took: float | None = None
    _step_seconds: float | None = None
    _slice_seconds: list[float] = field(default_factory=list)

    def apply(self, event: Event) -> None:
        """Take in what the engine said."""
        self.version += 1
        self.room = event if isinstance(event, WaitingForRoom) else None
        if self.state is DraftState.NO_ROOM:
            self.state = DraftState.RUNNING
        match event:
            case Started():
                self._began, self._took = time.monotonic(), None
                self.message = self.hint = self.retreated_in = ""
                if self.state is not DraftState.STOPPING:
                    self.state = DraftState.RUNNING
            case StepDone():
                self.chunk, self.step = event.chunk, event.step
                self.preview = event.preview or self.preview
                mean = self._step_seconds
                self._step_seconds = event.seconds if mean is None else mean + SMOOTHING * (event.seconds - mean)
            case ChunkDenoised():
                self.chunks_done, self.step = event.chunk + 1, 0
                self.chunk = min(event.chunk + 1, len(self.plan["chunks"]) - 1)
            case SliceReady():
                self.slices = [*self.slices[: event.index], event]  # one that was cut short by a stop is made anew
                self._slice_seconds.append(event.seconds)
            case Finished():
                self.state, self.video, self.video_frames = DraftState.FINISHED, event.file, event.frames
                self._took, self.preview = event.seconds, None
            case Stopped():
                self.state, self.video, self.video_frames = DraftState.STOPPED, event.file, event.frames
                self._took, self.preview = event.seconds, None
            case Failed():
                self.state, self.message, self.hint, self.preview = DraftState.FAILED, event.message, event.hint, None
                self.video, self.video_frames = event.file, event.frames
                self._took = None if self._began is None else time.monotonic() - self._began
            case Retreated():
                self.retreated_in, self.step = event.stage, 0
                self.plan = event.plan.to_json() if event.plan else self.plan
            case Queued():
                self.mark_queued()
            case Paused():
                self.state, self.preview = DraftState.PAUSED, None
            case WaitingForRoom():
                if self.state in (DraftState.QUEUED, DraftState.RUNNING):
                    self.state = DraftState.NO_ROOM
            case Encoded():
                pass

    def mark_queued(self) -> None:
        """It goes on as soon as the engine is free; what is finished stays."""
        self.state, self.version, self.step, self.preview = DraftState.QUEUED, self.version + 1, 0, None
        self._began = self._step_seconds = None
        self.video, self.video_frames, self.message, self.hint, self.room = None, 0, "", "", None

    def mark_stopping(self) -> None:
        """The person asked; the engine has not answered yet."""
        if self.state in (DraftState.QUEUED, DraftState.RUNNING, DraftState.NO_ROOM):
            self.state, self.version = DraftState.STOPPING, self.version + 1

    def snapshot(self, *, ahead: int = 0) -> DraftStatus:
        """The draft now."""
        request, chunks = self.plan["request"], self.plan["chunks"]
        first, everything = self._seconds_left()
        return DraftStatus(
            draft=self.draft,
            version=self.version,
            state=self.state,
            request=request,
            ahead=ahead,
            chunks=len(chunks),
            chunk=self.chunk,
            step=self.step,
            steps=self._steps(self.chunk),
            chunks_done=self.chunks_done,
            chunk_stops_seconds=tuple(
                frames / self.fps for frames in chunk_stops([Chunk(**row) for row in chunks], stride=self.stride)
            ),
            slices=tuple(self.slices),
            preview=self.preview,
            fps=self.fps,
            seconds=request["frames"] / self.fps,
            eta_seconds=everything,
            first_slice_eta_seconds=first,
            elapsed_seconds=self._took if self._began is None else self._took or time.monotonic() - self._began,
            forecast_seconds=self.plan["forecast"]["total_seconds"],
            video=self.video,
            video_frames=self.video_frames,
            message=self.message,
            hint=self.hint,
            retreated_in=self.retreated_in,
            room=self.room,
            chunk_prompts=tuple(request["shots"][chunk["shot"]]["prompt"] for chunk in chunks),
            parent=(self.plan.get("parent") or {}).get("draft", ""),
            saved_seconds=self._work_left()[1] if self.state is DraftState.STOPPED else None,
        )

    def _seconds_left(self) -> tuple[float | None, float | None]:
        """To the first slice and to the end: the forecast at first, then measured steps and slices."""
        if self.state.over or self._began is None:
            return None, None
        first, everything = self._work_left()
        if self._step_seconds is None:
            passed = time.monotonic() - self._began
            first, everything = max(1.0, first - passed), max(1.0, everything - passed)
        return None if self.slices else first, everything

    def _work_left(self) -> tuple[float, float]:
        """Seconds of work to the first slice and to the end; the forecast's before the first step."""
        forecast = self.plan["forecast"]
        if self._step_seconds is None:
            return forecast["first_slice_seconds"], forecast["total_seconds"]
        slices = self.plan["slices"]
        piece = sum(self._slice_seconds) / len(self._slice_seconds) if self._slice_seconds else 4 * self._step_seconds
        kept = (self.plan.get("parent") or {}).get("kept", ())  # of the draft that this one was made from
        still = (chunk for chunk in range(self.chunks_done, len(self.plan["chunks"])) if chunk not in kept)
        left = max(0, sum(map(self._steps, still)) - self.step)
        everything = left * self._step_seconds + max(0, len(slices) - len(self.slices)) * piece
        until_first = sum(map(self._steps, range(self.chunks_done, slices[0]["chunk"] + 1))) - self.step
        return until_first * self._step_seconds + piece, everything

    def _steps(self, chunk: int) -> int:
        """Of a chunk: those asked for, once for each of a causal model's blocks."""
        rounds = len(self.plan["chunks"][chunk].get("blocks", ())) or 1
        return int(self.plan["request"]["steps"]) * rounds


_ROWS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Queued, Paused, Encoded, Retreated, StepDone, ChunkDenoised, SliceReady, Finished, Stopped, Failed)
}


def read_record(journal: Journal, *, fps: int, stride: int, cared_for: bool = False) -> DraftRecord | None:
    """A draft from its folder; None when there is none.

    One that is neither over nor paused counts as failed, unless it is `cared_for`: somebody makes it, or will; or
    another process makes it now. One whose plan another version wrote so that this one cannot show it is none, too.
    """
    plan = read_json(journal.path("plan.json"))
    if not isinstance(plan, dict) or "chunks" not in plan:
        return None
    try:
        record = _replay(journal, DraftRecord(draft=journal.draft, plan=plan, fps=fps, stride=stride), cared_for)
        record.snapshot()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        logger.warning("%s is of another version and is not shown: %r", journal.folder, error)
        return None
    return record


def _replay(journal: Journal, record: DraftRecord, cared_for: bool) -> DraftRecord:
    for row in read_events(journal.folder):
        name = str(row.pop("event", ""))
        kind = _ROWS.get(name)
        row.pop("at", None)
        if name == Started.__name__:  # whose plan is in a file of its own
            record.mark_queued()
        if kind is not None:
            with suppress(TypeError):  # another version's event, with other fields
                record.apply(kind(**row))
    record.slices = [piece for piece in record.slices if journal.path(piece.file).exists()]
    record.elsewhere = not (cared_for or record.state.over or record.state is DraftState.PAUSED)
    if record.elsewhere and is_claimed(journal):
        record.state = DraftState.RUNNING
    elif record.elsewhere:
        kept = f"{record.chunks_done} of {len(record.plan['chunks'])} chunks were kept."
        record.apply(Failed(message="Rushes was closed while this draft was being made.", hint=kept))
    return record
