"""The engine's process as the page's process sees it: spawned, listened to, watched, spawned again when it dies."""

import logging
import multiprocessing
import threading
from collections.abc import Mapping
from contextlib import suppress
from ctypes import c_uint64
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Protocol

from pipeline.events import Event, Failed
from pipeline.heartbeat import LOOK_SECONDS, Watchdog
from pipeline.holdings import Holdings
from pipeline.plan.device import Held
from pipeline.plan.draft import DraftPlan
from pipeline.serving import DEVICE_LOST, serve

logger = logging.getLogger(__name__)

RESPAWN_PAUSE_SECONDS = 0.5
RETRY_PAUSE_SECONDS = 15.0  # once it is taken for one that does not start
TRIES = 3  # deaths before it was ever ready, one after another, that make it one
TRIES_KILLED = 9  # the same, where the last one was killed, which is seldom its own doing
KILLED = -9  # exit code by SIGKILL; Windows has none

DIED = Failed(
    message="The process that makes pictures stopped by itself; what was finished is kept.",
    hint="It happened twice with this draft: try a smaller picture or a shorter draft.",
)
HUNG = Failed(
    message="The process that makes pictures stood still and was ended; what was finished is kept.",
    hint="It happened twice with this draft: a driver may hang. Restart the machine, or try a smaller picture.",
)
LOST = Failed(
    message="The graphics card reported an error that lasts as long as the process; what was finished is kept.",
    hint="It happened twice with this draft: try a smaller picture or a newer driver.",
)
NEVER_READY = Failed(
    message="The process that makes pictures does not start.", hint="The reason is in the log. Install Rushes again."
)


class Owner(Protocol):
    """Who is told about the process, from a thread of its own."""

    holdings: Holdings
    """Told what the process holds between drafts."""

    def engine_ready(self) -> None:
        """It can be given a draft."""

    def engine_said(self, draft: str, event: Event) -> None:
        """Something happened to the draft it was given."""

    def engine_died(self, reason: Failed, *, broken: bool) -> None:
        """It is gone, and soon there is another; `broken` when that is in vain. `reason` is for its draft."""


class Backend(Protocol):
    """Where drafts are made: a process of its own, or leases of a card (pipeline/leasing.py)."""

    @property
    def pid(self) -> int | None:
        """Of its process, if it has one."""

    def start(self) -> None:
        """Get ready, and tell the owner."""

    def make(self, draft: str, plan: DraftPlan) -> bool:
        """Take a draft; whether it was taken. The owner is told what happens to it."""

    def kill(self) -> None:
        """End at once."""

    def close(self, grace_seconds: float) -> None:
        """End after the draft it works on, within `grace_seconds`."""


class EngineProcess:
    """One process at a time, until `close`.

    Args:
        drafts: folder of all drafts.
        weights: folders of one's own, by model.
        owner: who is told.
    """

    def __init__(self, drafts: Path, weights: Mapping[str, Path], owner: Owner) -> None:
        self._drafts, self._weights, self._owner = drafts, weights, owner
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._watchdog: Watchdog | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True, name="rushes-engine-process")

    @property
    def pid(self) -> int | None:
        """Of the process there is now."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Of the last process; None while it runs."""
        return None if self._process is None else self._process.exitcode

    def start(self) -> None:
        """Spawn it; it warms up on its own."""
        self._thread.start()

    def make(self, draft: str, plan: DraftPlan) -> bool:
        """Give it a draft; whether it took it. One that just died did not, and `engine_died` will tell."""
        try:
            assert self._pipe is not None
            assert self._watchdog is not None
            self._watchdog.expect(plan)
            self._pipe.send((draft, plan))
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()

    def close(self, grace_seconds: float) -> None:
        """Let it end after the draft it works on, or be ended after `grace_seconds`; none is spawned any more."""
        self._closing.set()
        if not self._thread.is_alive():
            return
        if self._pipe is not None:
            with suppress(OSError):  # it is dead already
                self._pipe.send(None)
        self._thread.join(grace_seconds)
        self.kill()
        self._thread.join()

    def _live(self) -> None:
        deaths = 0
        while not self._closing.is_set():
            pipe, watchdog = self._spawn()
            ready, hung = self._listen(pipe, watchdog)
            assert self._process is not None
            self._process.join()
            pipe.close()
            self._owner.holdings.keep(Held())
            if self._closing.is_set():
                return
            deaths = 0 if ready else deaths + 1
            broken = deaths >= (TRIES_KILLED if self._process.exitcode == KILLED else TRIES)
            logger.error("the engine process ended with %s; starting it again", self._process.exitcode)
            died = LOST if self._process.exitcode == DEVICE_LOST else DIED
            self._owner.engine_died(HUNG if hung else died, broken=broken)
            self._closing.wait(RETRY_PAUSE_SECONDS if broken else RESPAWN_PAUSE_SECONDS)

    def _spawn(self) -> tuple[Connection, Watchdog]:
        context, beats = multiprocessing.get_context("spawn"), RawValue(c_uint64, 0)
        ours, theirs = context.Pipe()
        first = self._process is None
        arguments = (theirs, beats, self._drafts, self._weights, first)
        self._process = context.Process(target=serve, args=arguments, daemon=True, name="rushes-engine")
        self._process.start()
        theirs.close()
        self._pipe, self._watchdog = ours, Watchdog(beats)
        return self._pipe, self._watchdog

    def _listen(self, pipe: Connection, watchdog: Watchdog) -> tuple[bool, bool]:
        """Take in what the process says until it ends; whether it was ever ready, and whether it hung."""
        ready = hung = False
        while True:
            try:
                spoke = pipe.poll(LOOK_SECONDS)
                message: tuple[str, Event] | Held | None = pipe.recv() if spoke else None
            except (EOFError, OSError):
                return ready, hung
            if spoke:
                ready = True
                self._heard(message, watchdog)
            if not hung and watchdog.hangs():
                logger.error("the engine process stood still for %.0f s; ending it", watchdog.limit_seconds)
                hung = True
                self.kill()

    def _heard(self, message: tuple[str, Event] | Held | None, watchdog: Watchdog) -> None:
        """Told to the owner; whatever goes wrong there, the process lives and is listened to."""
        if isinstance(message, Held):
            self._owner.holdings.keep(message)
            return
        watchdog.heard(message and message[1])
        try:
            if message is None:
                self._owner.engine_ready()
            else:
                self._owner.engine_said(*message)
        except Exception:
            logger.exception("what the engine said was not taken in: %s", message and type(message[1]).__name__)
