"""Downloads for the page: one at a time, in a process of its own, so that a cancel is heard whatever the network does.

What came stays where it is (pipeline/download.py), and the next start goes on from there.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from multiprocessing.connection import Connection
from time import monotonic

from pipeline.breaker import Breaker
from pipeline.download import DownloadEvent, DownloadFinished, download
from pipeline.errors import DraftError
from pipeline.plan.catalog import find_model

ENDED = "The download ended by itself; what came is kept."


class FetchState(StrEnum):
    """Where a download stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchStatus:
    """The latest download. `total_bytes` is 0 until it is known; `message` says why it failed."""

    model: str
    state: FetchState
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""


class Fetcher:
    """Brings checkpoints.

    Args:
        clock: of the breaker, which refuses a fourth attempt for a while after three that failed.
        refusal: why nothing is downloaded here, if so.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, refusal: DraftError | None = None) -> None:
        self.refusal = refusal
        self._lock, self._breaker = threading.Lock(), Breaker("Downloading", clock)
        self._status: FetchStatus | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._cancelled = False

    @property
    def status(self) -> FetchStatus | None:
        """The latest download; None before the first."""
        return self._status

    def start(self, model: str) -> None:
        """Begin a download, or go on with one.

        Raises:
            InvalidRequest: when there is no such model.
            DraftError: while another runs, after three that failed, or where nothing is downloaded.
        """
        find_model(model)
        if self.refusal is not None:
            raise self.refusal
        with self._lock:
            if self._status and self._status.state is FetchState.RUNNING:
                said = f"{find_model(self._status.model).title} is being downloaded."
                raise DraftError(said, "Wait for it, or cancel it.")
            self._breaker.check()
            context = multiprocessing.get_context("spawn")
            pipe, theirs = context.Pipe(duplex=False)
            self._process = context.Process(target=_fetch, args=(theirs, model), daemon=True, name="rushes-download")
            self._process.start()
            theirs.close()
            self._cancelled, self._status = False, FetchStatus(model=model, state=FetchState.RUNNING)
            listener = threading.Thread(target=self._listen, args=(pipe, self._process), daemon=True)
            listener.start()

    def cancel(self) -> None:
        """End the running download, if there is one; what came is kept."""
        with self._lock:
            if self._process is not None and self._process.is_alive():
                self._cancelled = True
                self._process.kill()  # it only ever appends to a file that is checked when it is whole

    def _listen(self, pipe: Connection, process: multiprocessing.process.BaseProcess) -> None:
        """Take in what the process says, until it ends."""
        said: DownloadEvent | str = ENDED
        with suppress(EOFError, OSError), pipe:
            while True:
                said = pipe.recv()
                if not isinstance(said, str | DownloadFinished):
                    self._change(done_bytes=said.done_bytes, total_bytes=said.total_bytes)
        process.join()
        with self._lock:
            if isinstance(said, DownloadFinished):
                self._breaker.succeeded()
                total = said.total_bytes
                self._change(state=FetchState.DONE, done_bytes=total, total_bytes=total)
            elif self._cancelled:
                self._change(state=FetchState.CANCELLED)
            else:
                message = said if isinstance(said, str) else ENDED
                self._breaker.failed(message)
                self._change(state=FetchState.FAILED, message=message)

    def _change(self, **changes: object) -> None:
        assert self._status is not None
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]


def _fetch(pipe: Connection, model: str) -> None:
    """In a process of its own: says how far it is, and in the end a sentence where it failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page's process
    with suppress(BrokenPipeError):
        try:
            download(find_model(model), pipe.send)
        except DraftError as error:
            pipe.send(str(error))
