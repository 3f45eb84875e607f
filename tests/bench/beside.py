"""How much longer a draft takes while something else computes: `python -m tests.bench.beside`. Three minutes.

A draft of one chunk of the miniature, alone, beside one busy loop, and beside another draft; with threads that wait as
Rushes has them wait (pipeline/gpu/threads.py) and as libgomp has them by itself. Fair is twice as long beside another
draft.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pipeline.gpu.threads import SPIN_COUNT

ROOT = Path(__file__).resolve().parents[2]
USUAL_SPIN_COUNT = 300_000  # libgomp's, with as many threads as processors
REPEATS = 5
MANY = 1000  # more than are ever made beside another
SETTLE_SECONDS = 8.0  # until another draft is denoised
LOOP = [sys.executable, "-c", "while True: pass"]
DRAFTS = [sys.executable, "-m", "tests.bench.beside", "--drafts"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drafts", type=int, help="make so many here and print the seconds of each")
    count = parser.parse_args().drafts
    if count:
        make_drafts(count)
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    print(f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, commit {commit.strip()}\n")
    print("| a draft of 49 frames, median of five, seconds | Rushes | libgomp by itself | ratio |\n|---|---|---|---|")
    others: dict[str, Sequence[str]] = {
        "alone": (),
        "beside a busy loop": LOOP,
        "beside another draft": [*DRAFTS, str(MANY)],
    }
    for name, other in others.items():
        ours, usual = (measure(spin_count, other) for spin_count in (SPIN_COUNT, USUAL_SPIN_COUNT))
        print(f"| {name} | {ours:.1f} | {usual:.1f} | {ours / usual:.2f} |", flush=True)


def measure(spin_count: int, other: Sequence[str]) -> float:
    """Median seconds of a draft, in a process of its own beside another command, both with threads that wait so."""
    environment = os.environ | {"GOMP_SPINCOUNT": str(spin_count)}
    with ExitStack() as stack:
        if other:
            beside = subprocess.Popen(other, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            stack.callback(beside.wait)
            stack.callback(beside.kill)
            time.sleep(SETTLE_SECONDS)
        told = subprocess.run(
            [*DRAFTS, str(1 + REPEATS)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
        )
    return statistics.median(map(float, told.stdout.split()[1:]))  # the first one loads the model


def make_drafts(count: int) -> None:
    """Drafts one after the other, each one's seconds on a line."""
    import pipeline
    from pipeline.engine import Engine
    from tests.bench.chunks.films import make
    from tests.bench.first_light import SENTENCE

    plan = pipeline.plan(replace(pipeline.request(SENTENCE, seed=5), frames=49))
    with tempfile.TemporaryDirectory() as drafts:
        engine = Engine(Path(drafts))
        for _ in range(count):
            start = time.monotonic()
            make(engine, plan)
            print(f"{time.monotonic() - start:.2f}", flush=True)


if __name__ == "__main__":
    main()
