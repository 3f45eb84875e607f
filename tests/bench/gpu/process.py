"""Each row in a process of its own: a clean allocator, and a crash that costs one row only.

The next process is started while the one before works, so that importing torch costs no row its time; it touches no
card before it is asked. Nothing heavy is imported here.
"""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage

Figures = dict[str, Any]
"""What was measured, by name; of a stage under the stage's name. `failed` says what went wrong."""

FAILED = "failed"


class Task(StrEnum):
    """What a row's process is to do."""

    RATES = "rates"
    PEERS = "peers"
    CARD = "card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row. `folder` is for what is written; of a `plan`, None for RATES, the `stages` are run, in their order."""

    task: Task
    device: Device
    folder: Path
    plan: DraftPlan | None = None
    stages: tuple[Stage, ...] = ()


Serve = Callable[[Connection], None]


def serve(pipe: Connection) -> None:
    """What a row's process does: wait for a job, send figures as they are found, and None when that was all."""
    from tests.bench.gpu.stages import measure  # takes seconds, and torch's memory

    try:
        job = pipe.recv()
    except EOFError:  # there was no row left
        return
    try:
        for figures in measure(job):
            pipe.send(figures)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        pipe.send({FAILED: f"{type(error).__name__}: {reason}"})
    pipe.send(None)


class RowProcesses:
    """One process a row, the next one always waiting."""

    def __init__(self, target: Serve = serve) -> None:
        self._target = target
        self._waiting = self._start()

    def _start(self) -> tuple[BaseProcess, Connection]:
        context = multiprocessing.get_context("spawn")  # a CUDA context does not survive a fork
        ours, theirs = context.Pipe()
        process = context.Process(target=self._target, args=(theirs,), daemon=True)
        process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        return process, ours

    def run(self, job: Job, seconds: float) -> Figures:
        """What a job measured within `seconds`; after that, or a crash, what it had measured till then."""
        (process, pipe), self._waiting = self._waiting, self._start()
        until, figures = time.monotonic() + seconds, Figures()
        try:
            pipe.send(job)
            while pipe.poll(max(0.0, until - time.monotonic())):
                found = pipe.recv()
                if found is None:
                    return figures
                figures |= found
            figures[FAILED] = f"stopped after {seconds:.0f} s"
        except (EOFError, BrokenPipeError, ConnectionResetError):
            process.join(1)
            figures[FAILED] = f"its process ended with code {process.exitcode}"
        finally:
            _end(process, pipe)
        return figures

    def close(self) -> None:
        """End the process that waits."""
        _end(*self._waiting)


def _end(process: BaseProcess, pipe: Connection) -> None:
    """At once: an orderly end would first give back all memory piece by piece. The card's is free once it is joined."""
    pipe.close()
    process.kill()
    process.join()
    process.close()
