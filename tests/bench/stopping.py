"""How long a stop takes, at a random moment of each stage: until nothing more is computed, and until the film is kept.

    python -m tests.bench.stopping [--rounds 12]

The miniature's standard draft. A step is the median of all that were made; a slice that is being made has the time of
one left, and then what was held back for it is written and all slices are joined, by two runs of ffmpeg.
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
    """Seconds from a stop to the end of all computing and to the kept film, of each round, and of every step."""

    computing: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)


def stop_once(drafts: Path, plan: DraftPlan, after: type[Event], within: float, delays: Delays) -> None:
    """Make a draft with a new engine and stop it; one that was finished before counts for nothing."""
    journal, asked, idle = Journal(drafts, new_draft_id()), list[float](), list[float]()

    def ask() -> None:
        asked.append(time.monotonic())
        journal.request_stop()

    timer = threading.Timer(random.uniform(0, within), ask)

    def emit(event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, after) and timer.ident is None:
            timer.start()
        if isinstance(event, StepDone):
            delays.steps.append(event.seconds)
        if isinstance(event, Stopped) and asked:
            delays.kept.append(now - asked[0])
            delays.computing.append((idle or [now])[0] - asked[0])
        if isinstance(event, Finished) and asked:  # it came while the film was put together
            delays.kept.append(now - asked[0])
            delays.computing.append(0.0)

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
    print("| stage | stops | a step | longest until nothing is computed | longest until the film is kept | target |")
    print("|---|---|---|---|---|---|", flush=True)
    random.seed(1)
    for stage, (after, within) in STAGES.items():
        delays = Delays()
        with tempfile.TemporaryDirectory() as folder:
            for number in range(options.rounds):
                plan = pipeline.plan(pipeline.request(PROMPTS[number % len(PROMPTS)], seed=number))
                with tempfile.TemporaryDirectory(dir=folder) as drafts:  # without embeddings of the time before
                    stop_once(Path(drafts), plan, after, within, delays)
        step = statistics.median(delays.steps) if delays.steps else None
        said = "" if step is None else f"{1000 * step:.0f} ms"
        target = "" if step is None else f"{1000 * (step + ALLOWED_SECONDS):.0f} ms"
        computing, kept = (f"{1000 * max(values):.0f} ms" for values in (delays.computing, delays.kept))
        print(f"| {stage} | {len(delays.kept)} | {said} | {computing} | {kept} | {target} |", flush=True)


if __name__ == "__main__":
    main()
