"""How long a stop takes, at a random moment of each stage: until nothing more is computed, and until the film is kept.

    python -m tests.bench.stopping [--rounds 12]

The miniature's standard draft, in a process that has made one before. A stop may take as long as the longest step of
its draft and 100 ms; what is told is how much longer than that step it took. A slice that is being made has the time of
a step left; then what was held back for the next one is written and all slices are joined, by two runs of ffmpeg.
"""

import argparse
import os
import platform
import random
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from unittest import mock

import pipeline
from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.engine import Engine
from pipeline.events import ChunkDenoised, Encoded, Event, Finished, SliceReady, Started, StepDone, Stopped
from pipeline.making import Making
from pipeline.plan.draft import DraftPlan
from tests.source import ROOT

PROMPTS = ("a red ball moves left over snow", "a blue star rises over the sea", "a pink square grows over sand")
ALLOWED_SECONDS = 0.1  # beside a step

STAGES: dict[str, tuple[type[Event], float]] = {
    "weights and sentence": (Started, 0.4),
    "weights of the transformer": (Encoded, 0.3),
    "denoise": (StepDone, 1.0),
    "decode": (ChunkDenoised, 0.5),
    "mp4": (SliceReady, 0.3),
}
"""After which event, and within how many seconds of it, a stop is asked for."""


@dataclass(slots=True)
class Delays:
    """Seconds that each round took longer than its longest step, from the stop to the end of all computing and to the
    kept film; and these steps."""

    computing: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    def note(self, steps: list[float], computing: float, kept: float) -> None:
        """Of one round."""
        longest = max(steps, default=0.0)
        self.steps.append(longest)
        self.computing.append(max(0.0, computing - longest))
        self.kept.append(max(0.0, kept - longest))


def stop_once(drafts: Path, plan: DraftPlan, after: type[Event], within: float, delays: Delays) -> None:
    """Make a draft with a new engine and stop it; one that was finished before counts for nothing."""
    journal, asked, idle, steps = Journal(drafts, new_draft_id()), list[float](), list[float](), list[float]()

    def ask() -> None:
        asked.append(time.monotonic())
        journal.request_stop()

    timer = threading.Timer(random.uniform(0, within), ask)

    def emit(event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, after) and timer.ident is None:
            timer.start()
        if isinstance(event, StepDone):
            steps.append(event.seconds)
        if isinstance(event, Stopped) and asked:
            delays.note(steps, (idle or [now])[0] - asked[0], now - asked[0])
        if isinstance(event, Finished) and asked:  # it came while the film was put together
            delays.note(steps, 0.0, now - asked[0])

    whole = Making.keep

    def keep(making: Making) -> None:
        idle.append(time.monotonic())
        whole(making)

    with mock.patch.object(Making, "keep", keep):
        Engine(drafts).run(plan, journal.draft, emit)
    timer.cancel()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12, help="stops in each stage")
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    print(f"{platform.machine()}, {os.cpu_count()} cores, {date.today()}, commit {commit.strip()}\n")
    print("| stage | stops | longest step | beyond a step until nothing is computed: median, longest |", end="")
    print(" until the film is kept: median, longest | target |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        Engine(Path(folder)).run(pipeline.plan(pipeline.request(PROMPTS[0], seed=1)), new_draft_id(), lambda _: None)
    random.seed(1)
    for stage, (after, within) in STAGES.items():
        delays = Delays()
        with tempfile.TemporaryDirectory() as folder:
            for number in range(options.rounds):
                plan = pipeline.plan(pipeline.request(PROMPTS[number % len(PROMPTS)], seed=number))
                with tempfile.TemporaryDirectory(dir=folder) as drafts:  # without embeddings of the time before
                    stop_once(Path(drafts), plan, after, within, delays)
        computing, kept = (
            f"{1000 * statistics.median(values):.0f}, {1000 * max(values):.0f} ms"
            for values in (delays.computing, delays.kept)
        )
        step, target = f"{1000 * max(delays.steps):.0f} ms", f"{1000 * ALLOWED_SECONDS:.0f} ms"
        print(f"| {stage} | {len(delays.kept)} | {step} | {computing} | {kept} | {target} |", flush=True)


if __name__ == "__main__":
    main()
