"""The register of drafts, and the keeper of the process that makes them. The page only follows; nothing here draws.

Torch lives in a spawned process (pipeline/serving.py): if it dies, this one lives, says so and starts it again. One
plan at a time goes in, events come out. Stopping is a file in the draft's folder, so it needs no message.
"""

import logging
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.drafts.disposal import delete_draft, keep_within
from pipeline.drafts.journal import ID_PATTERN, Journal, new_draft_id, read_json
from pipeline.drafts.status import DraftRecord, DraftState, DraftStatus, read_record
from pipeline.drafts.surgery import begin_edit
from pipeline.errors import DiskFull, DraftError, DraftsInUse, InvalidRequest, WriteFailed
from pipeline.events import ENDS, Event, Failed, Finished, Retreated, Started, Stopped
from pipeline.plan.catalog import CATALOG
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Edit
from pipeline.serving import serve

__all__ = ["DraftState", "DraftStatus", "Worker"]

logger = logging.getLogger(__name__)

LONGEST_QUEUE = 16  # drafts that wait; more is a mistake, and a clear refusal beats a silent hour
CLOSE_TIMEOUT_SECONDS = 5.0
RESPAWN_PAUSE_SECONDS = 0.5
RETRY_PAUSE_SECONDS = 15.0  # after a process that ended before it was ready
DIED = Failed(
    message="The process that makes pictures stopped by itself; what was finished is kept.",
    hint="It happened twice with this draft: try a smaller picture or a shorter draft.",
)

NEVER_READY = Failed(
    message="The process that makes pictures does not start.", hint="The reason is in the log. Install Rushes again."
)


class Worker:
    """One engine process and the drafts it was given.

    Args:
        drafts: folder of all drafts; made if missing, and locked for as long as this lives.
        weights: folders of one's own, by model, for the process to look into.
        keep_bytes: of all drafts together; when there are more the oldest finished ones are deleted.

    Raises:
        DraftsInUse: when another Rushes holds the folder.
        WriteFailed: when it cannot be made or written.
    """

    def __init__(
        self, drafts: Path, weights: Mapping[str, Path] | None = None, *, keep_bytes: int | None = None
    ) -> None:
        self.drafts, self._weights, self._keep_bytes = drafts.resolve(), dict(weights or {}), keep_bytes
        try:
            self.drafts.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.drafts / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise DraftsInUse(str(self.drafts)) from error
        except OSError as error:
            raise WriteFailed(
                str(drafts), f"The drafts folder {drafts} cannot be written: {error.strerror}.", "Choose another."
            ) from error
        self._changed = threading.Condition()
        self._records: dict[str, DraftRecord] = {}
        self._waiting: deque[tuple[str, DraftPlan]] = deque()
        self._running: tuple[str, DraftPlan] | None = None
        self._taken_up: set[str] = set()  # drafts that went on by themselves after the process had died
        self._ready = self._closing = False
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        keep_within(self.drafts, keep_bytes)

    def start(self) -> None:
        """Spawn the process; it warms up on its own."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self.drafts, self._weights)
        self._process = context.Process(target=serve, args=arguments, daemon=True, name="rushes-engine")
        self._process.start()
        theirs.close()
        threading.Thread(target=self._listen, args=(self._pipe,), daemon=True, name="rushes-events").start()

    @property
    def ready(self) -> bool:
        """Whether the process has warmed up."""
        return self._ready

    def submit(self, plan: DraftPlan) -> str:
        """Put a draft in the queue; returns its id. Raises DraftError when the queue is full or the disk refuses."""
        with self._changed:
            if len(self._waiting) >= LONGEST_QUEUE:
                raise DraftError(f"{LONGEST_QUEUE} drafts are waiting already.", "Wait for one to finish.")
            draft = new_draft_id()
            Journal(self.drafts, draft).begin(plan)
            spec = plan.spec
            self._records[draft] = DraftRecord(draft=draft, plan=plan.to_json(), fps=spec.fps, stride=spec.frame_stride)
            self._waiting.append((draft, plan))
            self._feed()
            return draft

    def resume(self, draft: str) -> None:
        """Put a draft that was stopped, failed or cut off in the queue again, to go on from what is finished.

        One that is waiting, running or finished is left alone.

        Raises:
            DraftError: when there is no such draft, its plan cannot be read or the queue is full.
        """
        with self._changed:
            record = self._records.get(draft) or self._from_disk(draft)
            if record is None:
                raise InvalidRequest("draft", "There is no such draft.")
            if record.state not in (DraftState.STOPPED, DraftState.FAILED):
                return
            if len(self._waiting) >= LONGEST_QUEUE:
                raise DraftError(f"{LONGEST_QUEUE} drafts are waiting already.", "Wait for one to finish.")
            plan = Journal(self.drafts, draft).take_up()
            record.mark_queued()
            self._waiting.append((draft, plan))
            self._feed()
            self._changed.notify_all()

    def edit(self, draft: str, change: Edit) -> str:
        """Put a draft in the queue that is made from another; returns its id. The other stays as it is.

        Raises:
            DraftError: when there is no such draft, it is being made, or what is asked for cannot be.
        """
        with self._changed:
            record = self._records.get(draft) or self._from_disk(draft)
            if record is None:
                raise InvalidRequest("draft", "There is no such draft.")
            if not record.state.over:
                raise InvalidRequest("draft", "This draft is being made.", "Stop it, or wait until it is finished.")
            if len(self._waiting) >= LONGEST_QUEUE:
                raise DraftError(f"{LONGEST_QUEUE} drafts are waiting already.", "Wait for one to finish.")
            made, _ = begin_edit(self.drafts, draft, change)
            self.resume(made)
            return made

    def stop(self, draft: str) -> None:
        """Ask a draft to stop and keep what is finished; an unknown or finished one is left alone."""
        with self._changed:
            record = self._records.get(draft)
            if record is None or record.state.over:
                return
            waiting = next((entry for entry in self._waiting if entry[0] == draft), None)
            if waiting:
                self._waiting.remove(waiting)
                record.apply(Stopped(file=None, frames=0, chunks=0, seconds=0.0))
                with suppress(DiskFull):
                    Journal(self.drafts, draft).note(Stopped(file=None, frames=0, chunks=0, seconds=0.0))
            else:
                Journal(self.drafts, draft).request_stop()
                record.mark_stopping()
            self._changed.notify_all()

    def delete(self, draft: str) -> int:
        """Delete a draft that neither waits nor is being made; bytes that are free now. Raises as `delete_draft`."""
        with self._changed:
            record = self._records.get(draft)
            if record is not None and not record.state.over:
                raise InvalidRequest("draft", f"Draft {draft} is waiting or being made.", "Stop it first.")
            freed = delete_draft(self.drafts, draft)
            self._records.pop(draft, None)
            self._changed.notify_all()
            return freed

    def status(self, draft: str) -> DraftStatus | None:
        """A draft now, also an old one from its folder; None when there is none of that name."""
        with self._changed:
            record = self._records.get(draft) or self._from_disk(draft)
            return None if record is None else self._snapshot(record)

    def wait(self, draft: str, version: int, timeout_seconds: float) -> DraftStatus | None:
        """A draft as soon as its version differs from `version`, or as it is when the time is up."""
        with self._changed:
            record = self._records.get(draft)
            if record is not None:
                self._changed.wait_for(lambda: record.version != version, timeout_seconds)
        return self.status(draft)

    def recent(self, limit: int) -> list[DraftStatus]:
        """The newest drafts, newest first."""
        folders = sorted((f for f in self.drafts.iterdir() if ID_PATTERN.fullmatch(f.name)), reverse=True)
        found = (self.status(folder.name) for folder in folders[:limit])
        return [status for status in found if status is not None]

    def close(self) -> None:
        """End the process and give the folder free."""
        with self._changed:
            self._closing = True
            if self._running:
                Journal(self.drafts, self._running[0]).request_stop()
            if self._pipe is not None:
                with suppress(OSError):  # it is dead already
                    self._pipe.send(None)
        if self._process is not None:
            self._process.join(CLOSE_TIMEOUT_SECONDS)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._lock.release()

    def _snapshot(self, record: DraftRecord) -> DraftStatus:
        ahead = 0
        if record.state is DraftState.QUEUED:
            names = [draft for draft, _ in self._waiting]
            ahead = (names.index(record.draft) if record.draft in names else 0) + bool(self._running)
        return record.snapshot(ahead=ahead)

    def _from_disk(self, draft: str) -> DraftRecord | None:
        if not ID_PATTERN.fullmatch(draft):
            return None
        journal = Journal(self.drafts, draft)
        request = read_json(journal.path("request.json"))
        spec = CATALOG.get(str((request or {}).get("model")))
        record = read_record(journal, fps=spec.fps, stride=spec.frame_stride) if spec else None
        if record is not None:
            self._records[draft] = record
        return record

    def _feed(self) -> None:
        """Give the process its next draft, if it has none. Called with the lock held."""
        if self._running is None and self._ready and self._waiting and self._pipe is not None:
            draft, plan = self._waiting.popleft()
            try:
                self._pipe.send((draft, plan))
                self._running = draft, plan
            except OSError:  # the process just died: `_listen` will notice, and the draft waits for the next one
                self._waiting.appendleft((draft, plan))
                self._ready = False

    def _listen(self, pipe: Connection) -> None:
        """Take in what the process says, until it ends."""
        warm = False
        while True:
            try:
                message: tuple[str, Event] | None = pipe.recv()
            except (EOFError, OSError):
                break
            with self._changed:
                if message is None:
                    self._ready = warm = True
                else:
                    draft, event = message
                    self._records[draft].apply(event)
                    if isinstance(event, Started | Retreated) and event.plan:
                        self._running = draft, event.plan  # as it is carried out: who takes the draft up goes on so
                    if isinstance(event, ENDS):
                        self._running = None
                    if isinstance(event, Finished):
                        for gone in keep_within(self.drafts, self._keep_bytes):
                            self._records.pop(gone, None)
                self._feed()
                self._changed.notify_all()
        pipe.close()
        self._process_ended(warm=warm)

    def _process_ended(self, *, warm: bool) -> None:
        with self._changed:
            self._ready = False
            if self._closing:
                return
            logger.error("the engine process ended; starting it again")
            if self._running is not None:
                draft, _ = self._running
                if draft in self._taken_up:
                    self._fail(draft, DIED)
                else:  # once: what kills the process may be the draft itself
                    self._taken_up.add(draft)
                    self._records[draft].mark_queued()
                    self._waiting.appendleft(self._running)
                self._running = None
            while self._waiting and not warm:
                self._fail(self._waiting.popleft()[0], NEVER_READY)
            self._changed.notify_all()
        time.sleep(RESPAWN_PAUSE_SECONDS if warm else RETRY_PAUSE_SECONDS)
        with self._changed:
            if not self._closing:
                self.start()

    def _fail(self, draft: str, reason: Failed) -> None:
        self._records[draft].apply(reason)
        with suppress(WriteFailed):
            Journal(self.drafts, draft).note(reason)
