"""The engine's own process: what comes through the pipe is made, one draft at a time, and events go back."""

import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from ctypes import c_uint64
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.drafts.journal import Journal
from pipeline.errors import DraftError, OutOfMemory, WriteFailed
from pipeline.events import Event, Failed
from pipeline.heartbeat import start_heart
from pipeline.logs import start_logging
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.device import probe_device
from pipeline.plan.draft import DraftPlan

if TYPE_CHECKING:
    from pipeline.engine import Engine

logger = logging.getLogger(__name__)

DEVICE_LOST = 4  # exit code of an engine process whose device answers nothing but errors
UNEXPECTED = Failed(
    message="Something unexpected went wrong; what was finished is kept.", hint="The details are in the log."
)


def serve(pipe: Connection, beats: c_uint64, drafts: Path, weights: Mapping[str, Path], warm_up: bool) -> None:
    """Make what comes through the pipe until None comes or it closes.

    Args:
        pipe: takes a draft's id and plan; gives back None when ready, then ids and events, and what is held after.
        beats: counted up for as long as this process moves (pipeline/heartbeat.py).
        drafts: folder of all drafts.
        weights: folders of one's own, by model.
        warm_up: get ready for the miniature first; not where a draft waits to go on, perhaps of another model.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # to a whole group: for the page's process, which then sends None
        signal.signal(number, signal.SIG_IGN)
    start_heart(beats)
    start_logging(logging.INFO)
    from pipeline.engine import Engine

    engine = Engine(drafts, weights)
    if warm_up:
        try:
            engine.open(MINIATURE, probe_device()).warm_up()
        except DraftError as error:
            logger.warning("%s", error)
    try:
        pipe.send(None)
        while (job := pipe.recv()) is not None:
            draft, plan = job
            make(engine, draft, plan, partial(_send, pipe, draft))
            pipe.send(engine.held)
    except (EOFError, OSError):
        return
    except RuntimeError:  # without a word to the device, which may not answer
        os._exit(DEVICE_LOST)


def _send(pipe: Connection, draft: str, event: Event) -> None:
    pipe.send((draft, event))


def make(engine: "Engine", draft: str, plan: DraftPlan, emit: Callable[[Event], None], **how: int) -> None:
    """Have a draft made, `how` as of `Engine.run`; what goes wrong becomes its last event.

    Raises:
        BrokenPipeError: when nobody listens any more.
        RuntimeError: when no draft can be made by this process any more; nothing is told of this one.
    """
    try:
        engine.run(plan, draft, emit, **how)
    except DraftError as error:
        stage = error.stage if isinstance(error, OutOfMemory) else ""
        failed = Failed(message=error.message, hint=error.hint, out_of_memory_in=stage)
    except BrokenPipeError:
        raise  # the page's process is gone
    except Exception as error:
        logger.exception("draft %s", draft)
        from pipeline.gpu.backend import is_device_lost

        if is_device_lost(error):
            raise
        failed = UNEXPECTED
    else:
        return
    journal = Journal(engine.drafts, draft)
    file, frames = journal.kept_film()
    failed = replace(failed, file=file, frames=frames)
    with suppress(WriteFailed):  # the disk may be what failed
        journal.note(failed)
    emit(failed)
