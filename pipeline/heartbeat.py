"""Whether the engine's process works or stands still, on both sides of its border.

A call that hangs in a driver lets other threads run, so a thread that only counts would go on counting. This one looks
where the working thread is, and counts a beat when it has moved since the last look: loading, quantizing, encoding and
decoding go through many different calls a second, and a call that never comes back is always the same.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from ctypes import c_uint64
from multiprocessing.connection import wait
from statistics import median

from pipeline.events import ENDS, Event, StepDone
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage

LOOK_SECONDS = 1.0
SILENCE_SECONDS = 60.0  # assumed until measured: the longest single call besides a step's, such as reading one tensor
STARTING_SECONDS = 600.0  # assumed until measured: gigabytes of libraries from a slow disk, loaded by one call
SILENT_STEPS = 10  # one call can be most of a step, and a step can be slow where the card is shared
ORPHANED = 3  # exit code of an engine process whose page's process is gone
BOUNDED_WAITS = frozenset({"selectors", "subprocess"})
"""Modules that wait for another program, such as ffmpeg: whoever waits there has a time limit of its own."""


# In the engine's process ---------------------------------------------------------------------------------------------
def start_heart(beats: c_uint64) -> None:
    """Count in `beats`, from a thread, whenever the calling thread has moved; end the process with its parent."""
    threading.Thread(target=_beat, args=(beats, threading.get_ident()), daemon=True, name="rushes-heart").start()


def _beat(beats: c_uint64, watched: int) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    before = _position(watched)
    while not wait([parent.sentinel], LOOK_SECONDS):
        now = _position(watched)
        if now is None or now != before:
            beats.value += 1
        before = now
    os._exit(ORPHANED)  # nobody listens any more, and the next one may begin with the same draft


def _position(thread: int) -> tuple[tuple[int, int], ...] | None:
    """Where a thread is, from the innermost call outwards; None where it waits for another program.

    Numbers only: a frame that is held on to holds on to its tensors.
    """
    calls, frame = [], sys._current_frames().get(thread)
    if frame is not None and frame.f_globals.get("__name__") in BOUNDED_WAITS:
        return None
    while frame is not None:
        calls.append((id(frame), frame.f_lasti))
        frame = frame.f_back
    return tuple(calls)


# In the page's process -----------------------------------------------------------------------------------------------
class Watchdog:
    """Says when a process that should be working has stood still for too long.

    Args:
        beats: what `start_heart` counts in.
        clock: seconds that never go back.
    """

    def __init__(self, beats: c_uint64, clock: Callable[[], float] = time.monotonic) -> None:
        self._beats, self._clock = beats, clock
        self._steps = deque[float](maxlen=100)
        self._forecast: float | None = None  # until its first draft it starts
        self._resting = False
        self._seen, self._looked, self._silence = beats.value, clock(), 0.0

    def expect(self, plan: DraftPlan) -> None:
        """It works on a draft from now on, in which a step and a slice take about as long as was forecast."""
        seconds = plan.forecast.stage_seconds
        step = seconds[Stage.DENOISE] / plan.steps_before(len(plan.chunks))
        self._forecast = max(step, seconds[Stage.DECODE] / len(plan.slices))
        self._steps.clear()
        self._resting, self._silence, self._looked = False, 0.0, self._clock()

    def heard(self, event: Event | None) -> None:
        """It said something, which is a beat, too; None: it is ready. After a last event it has nothing to do."""
        self._silence = 0.0
        if isinstance(event, StepDone):
            self._steps.append(event.seconds)
        self._resting = event is None or isinstance(event, ENDS)

    @property
    def limit_seconds(self) -> float:
        """How long it may stand still: by the steps of this draft, by the forecast until there are some."""
        if self._forecast is None:
            return STARTING_SECONDS
        usual = median(self._steps) if self._steps else self._forecast
        return max(SILENCE_SECONDS, SILENT_STEPS * usual)

    def hangs(self) -> bool:
        """Look once, about every `LOOK_SECONDS`; whether it has stood still for longer than it may.

        What passed between two looks counts as two looks at most: after a stop of both processes it is nobody's fault.
        """
        now = self._clock()
        passed, self._looked = now - self._looked, now
        if self._resting or self._beats.value != self._seen:
            self._seen, self._silence = self._beats.value, 0.0
        else:
            self._silence += min(passed, 2 * LOOK_SECONDS)
        return self._silence > self.limit_seconds
