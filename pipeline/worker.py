"""The register of drafts: what waits, what is being made, what became of it. The page only follows; nothing here draws.

Torch lives in a process of its own (pipeline/process.py), which is given one draft at a time. Stopping is a file in the
draft's folder, so it needs no message. What waits is on disk (pipeline/drafts/queue.py), and the next start goes on.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline.drafts.disposal import delete_draft, keep_within
from pipeline.drafts.journal import Journal, last_event, new_draft_id
from pipeline.drafts.keys import draft_id_for
from pipeline.drafts.lock import hold
from pipeline.drafts.pictures import begin_draft
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.drafts.surgery import begin_edit
from pipeline.errors import Closing, DraftsInUse, InvalidRequest, WriteFailed
from pipeline.events import ENDS, Event, Failed, Finished, Paused, Stopped
from pipeline.health import Watchers
from pipeline.holdings import Holdings
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Edit
from pipeline.process import DIED, NEVER_READY, Backend, EngineProcess, Owner
from pipeline.view import DraftsView

__all__ = ["DraftState", "DraftStatus", "Worker"]

logger = logging.getLogger(__name__)

LONGEST_QUEUE = 16  # drafts that wait; more is a mistake, and a clear refusal beats a silent hour
ATTEMPTS = 2  # at a draft that ends its process: what kills the process may be the draft itself
GRACE_SECONDS = 30.0  # for a running draft to reach its next step and keep what is finished
IDLE_GRACE_SECONDS = 5.0


class Worker(DraftsView):
    """One engine process and the drafts it was given; where another Rushes holds the folder, drafts to look at only.

    Args:
        drafts: folder of all drafts; made if missing, and locked for as long as this lives.
        weights: folders of one's own, by model, for the process to look into.
        longest_queue: how many drafts may wait.
        keep_bytes: of all drafts together; when there are more, finished ones go as `keep_within` has it.
        engine: where they are made; called with the folder, the weights and this.

    Raises:
        WriteFailed: when the folder cannot be made or written.
    """

    def __init__(
        self,
        drafts: Path,
        weights: Mapping[str, Path] | None = None,
        *,
        longest_queue: int = LONGEST_QUEUE,
        keep_bytes: int | None = None,
        engine: Callable[[Path, Mapping[str, Path], Owner], Backend] = EngineProcess,
    ) -> None:
        self._lock = hold(drafts.resolve())
        self.read_only = self._lock is None
        super().__init__(drafts.resolve(), keep=not self.read_only, longest_queue=longest_queue)
        self.keep_bytes = keep_bytes
        self._attempts: dict[str, int] = {}  # how often a draft was begun, of those whose process ended
        self._pausing: set[str] = set()
        self.watchers = Watchers()
        self.holdings = Holdings(lambda: self._running is not None)
        self._engine = engine(self.drafts, dict(weights or {}), self)
        if not self.read_only:
            for draft in self._queue.restore(attempts=ATTEMPTS):
                self._tell(draft, DIED)
            keep_within(self.drafts, keep_bytes)

    def start(self) -> None:
        """Spawn the process; it warms up on its own. Where there are only drafts to look at, nothing happens."""
        if not self.read_only:
            self._engine.start()

    @property
    def engine_pid(self) -> int | None:
        """Of the process, if there is one."""
        return self._engine.pid

    def submit(self, plan: DraftPlan, key: str | None = None) -> str:
        """Put a draft in the queue; returns its id. With a key that was used before, the id of that draft instead.

        Raises:
            QueueFull, DraftsInUse, Closing: nothing was queued.
            InvalidRequest: for a key that is too long, and a picture that is not there any more.
            WriteFailed: when the disk refuses.
        """
        with self._changed:
            self._check_open()
            draft = draft_id_for(self.drafts, key) if key else new_draft_id()
            if key and last_event(self.drafts / draft) is not None:
                return draft
            self._queue.check_room()
            begin_draft(Journal(self.drafts, draft), plan)
            self._queue.put(draft)
            self._register.add(draft, plan)
            self.watchers.queued(draft)
            self._feed()
            return draft

    def resume(self, draft: str) -> None:
        """Put a draft that was paused, stopped, failed or cut off in the queue again, to go on from what is finished.

        One that was paused comes first. One that is waiting, running or finished is left alone.

        Raises:
            InvalidRequest: when there is no such draft, or its plan cannot be read.
            QueueFull, DraftsInUse, Closing, WriteFailed: it stays as it is.
        """
        with self._changed:
            self._check_open()
            record = self._known(draft)
            if record.state not in (DraftState.PAUSED, DraftState.STOPPED, DraftState.FAILED):
                return
            self._queue.check_room()
            Journal(self.drafts, draft).read_plan()
            self._queue.put(draft, front=record.state is DraftState.PAUSED)
            self._attempts.pop(draft, None)
            record.mark_queued()
            self._register.hold(record)
            self.watchers.queued(draft)
            self._feed()
            self._changed.notify_all()

    def edit(self, draft: str, change: Edit) -> str:
        """Queue a draft made from another, which stays as it is; its id. Raises DraftError where it cannot be."""
        with self._changed:
            self._check_open()
            if not self._known(draft).state.over:
                raise InvalidRequest("draft", "This draft is being made.", "Stop it, or wait until it is finished.")
            self._queue.check_room()
            made, _ = begin_edit(self.drafts, draft, change, self.holdings.probe)
            self.resume(made)
            return made

    def stop(self, draft: str) -> None:
        """Ask a draft to stop and keep what is finished, or take it out of the queue.

        An unknown or finished one is left alone. Raises DraftsInUse, WriteFailed.
        """
        self._interrupt(draft, pause=False)

    def pause(self, draft: str) -> None:
        """Have a draft rest after its step, or where it waits, until `resume`; the next in the queue is made.

        An unknown or finished one, and one that another process makes, is left alone. Raises DraftsInUse, WriteFailed.
        """
        self._interrupt(draft, pause=True)

    def _interrupt(self, draft: str, *, pause: bool) -> None:
        with self._changed:
            self._check_held()
            record = self._record(draft)
            if record is None or record.state.over:
                return
            if draft == self._running:
                (self._pausing.add if pause else self._pausing.discard)(draft)
                Journal(self.drafts, draft).request_stop()
                record.mark_stopping()
            elif record.elsewhere:
                if not pause:
                    Journal(self.drafts, draft).request_stop()
            elif pause:
                if self._queue.remove(draft):
                    self._tell(draft, Paused())
            else:
                self._queue.remove(draft)
                self._pausing.discard(draft)
                self._tell(draft, Stopped(file=None, frames=0, chunks=record.chunks_done, seconds=0.0))
            self._changed.notify_all()

    def delete(self, draft: str) -> int:
        """Delete a draft that neither waits nor is being made; bytes that are free now. Raises as `delete_draft`."""
        with self._changed:
            self._check_held()
            record = self._record(draft)
            if record is not None and not record.state.over:
                raise InvalidRequest("draft", f"Draft {draft} is waiting or being made.", "Stop it first.")
            freed = delete_draft(self.drafts, draft)
            self._register.forget(draft)
            self._changed.notify_all()
            return freed

    def close(self) -> None:
        """Take no more drafts, have the running one keep what is finished and wait for the next start; free the folder.

        Takes as long as a step and the writing of a film, `GRACE_SECONDS` at most.
        """
        with self._changed:
            running, self._closing = self._running, True
            if running:
                with suppress(WriteFailed):
                    Journal(self.drafts, running).suspend()
            self._changed.notify_all()
        self._engine.close(GRACE_SECONDS if running else IDLE_GRACE_SECONDS)
        if self._lock is not None:
            self._lock.release()

    def kill(self) -> None:
        """End the process at once; what is finished is on disk, and the next start goes on."""
        self._engine.kill()

    # What the engine's process tells -------------------------------------------------------------------------------
    def engine_ready(self) -> None:
        """It can be given a draft."""
        with self._changed:
            self._ready = True
            self._feed()
            self._changed.notify_all()

    def engine_said(self, draft: str, event: Event) -> None:
        """Something happened to the running draft."""
        with self._changed:
            record = self._record(draft)
            assert record is not None
            suspended = self._closing and record.state is not DraftState.STOPPING
            record.apply(event)
            self.watchers.told(draft, event)
            if isinstance(event, ENDS):
                self._running = None
                self._attempts.pop(draft, None)
                with suppress(WriteFailed):
                    if isinstance(event, Stopped) and draft in self._pausing:
                        self._tell(draft, Paused())
                    elif isinstance(event, Stopped) and suspended:
                        self._queue.put(draft, front=True)
                        record.mark_queued()
                self._pausing.discard(draft)
                if isinstance(event, Finished):
                    for gone in keep_within(self.drafts, self.keep_bytes, spared=draft):
                        self._register.forget(gone)
                self._register.forget_old()
                self._feed()
            self._changed.notify_all()

    def engine_died(self, reason: Failed, *, broken: bool) -> None:
        """The running draft goes on with the next process, once; a process that never starts is waited for in vain."""
        with self._changed:
            self._ready, self._trouble = False, NEVER_READY.message if broken else reason.message
            self.watchers.respawned()
            draft, self._running = self._running, None
            if draft is not None:
                record = self._register.find_again(draft)
                attempts = self._attempts[draft] = self._attempts.get(draft, 0) + 1
                if record.state.over:  # it ended its last draft well, and could not say so any more
                    self._attempts.pop(draft)
                elif attempts < ATTEMPTS:
                    self._queue.put_back(draft)
                else:
                    self._tell(draft, reason)
            while broken and len(self._queue):
                self._tell(self._queue.take(), NEVER_READY)
            self._changed.notify_all()

    # Called with the lock held -------------------------------------------------------------------------------------
    def _check_held(self) -> None:
        if self.read_only:
            raise DraftsInUse(str(self.drafts))

    def _check_open(self) -> None:
        self._check_held()
        if self._closing:
            raise Closing

    def _feed(self) -> None:
        """Give the process its next draft, if it has none."""
        while self._running is None and self._ready and not self._closing and len(self._queue):
            draft = self._queue.take()
            try:
                plan = Journal(self.drafts, draft).read_plan()
                if self._register.find(draft, cared_for=True) is None:
                    self._register.add(draft, plan)
            except InvalidRequest as error:
                self._tell(draft, Failed(message=error.message, hint=error.hint))
                continue
            if self._engine.make(draft, plan):
                self._running = draft
            else:  # it just died; the next one is told
                self._queue.put_back(draft)
                self._ready = False

    def _tell(self, draft: str, event: Event) -> None:
        """Something happened to a draft that the process does not have; the film it has stays."""
        journal, record = Journal(self.drafts, draft), self._record(draft)
        if isinstance(event, Stopped | Failed):
            file, frames = journal.kept_film()
            event = replace(event, file=file, frames=frames)
        if record is not None:
            record.apply(event)
            self.watchers.told(draft, event)
        with suppress(WriteFailed):
            journal.note(event)
