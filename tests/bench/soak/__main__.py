"""Endurance, on this machine: a Markdown table, and exit code 1 when a target was missed.

python -m tests.bench.soak                                                      # the short form: about a minute
python -m tests.bench.soak --kills 200 --drafts 1000 --followers 100 --jobs 10000
python -m tests.bench.soak --only kills --kills 200
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pipeline
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import GenerationRequest, Shot
from pipeline.plan.spec import VideoShape
from tests.bench.soak.followers import soak_followers
from tests.bench.soak.jobs import soak_jobs
from tests.bench.soak.kills import soak_kills
from tests.bench.soak.queue import soak_queue
from tests.bench.soak.scrapes import soak_scrapes
from tests.source import ROOT

Row = tuple[str, str, str, bool]
"""What, measured, target, whether it was met."""

RESPAWN_SECONDS = 5.0
RESTART_SECONDS = 3.0
FLAT = 1.5  # last ÷ first
DELAY_MS = 1000.0
SCRAPE_MS = 50.0
GROWTH = 1.05


def plan_of(frames: int, steps: int, drafts: Path) -> DraftPlan:
    """A small draft of the miniature's."""
    request = GenerationRequest(
        shots=(Shot(prompt="a red ball moves left over snow", seconds=frames / 24),),
        model="miniature",
        shape=VideoShape(width=96, height=96),
        frames=frames,
        steps=steps,
        guidance=1.0,
        seed=7,
    )
    return pipeline.plan(request, drafts)


def kills(folder: Path, count: int) -> list[Row]:
    """Rows about deaths."""
    got = soak_kills(folder, count)
    bad = ((len(got.lost), "lost"), (len(got.doubled), "doubled"), (len(got.half_files), "half files"))
    said = ", ".join(f"{number} {what}" for number, what in bad)
    slowest, ready = max(got.respawn_seconds), max(got.ready_seconds, default=0.0)
    return [
        (f"{count} kill -9 over {got.drafts} drafts", said, "0, 0, 0", not any(number for number, _ in bad)),
        ("of them other than unbroken, to a bit of latents or frames", str(len(got.different)), "0", not got.different),
        ("died twice, kept their parts and went on when asked", str(got.went_on_when_asked), "", True),
        ("slowest respawn", f"{slowest:.2f} s", f"{RESPAWN_SECONDS:.0f} s", slowest <= RESPAWN_SECONDS),
        ("slowest from a kill to an engine that is ready", f"{ready:.1f} s" if ready else "", "", True),
    ]


def queue(folder: Path, count: int) -> list[Row]:
    """Rows about drafts that wait."""
    got = soak_queue(folder, count, plan_of(9, 1, folder))
    ratio = got.last_ms / got.first_ms
    cost = f"{got.first_ms:.1f} ms first, {got.last_ms:.1f} ms last"
    return [
        (f"to queue one of {count} drafts", cost, f"last ÷ first up to {FLAT:g}", ratio <= FLAT),
        (
            f"restart with {count} queued, all in order",
            f"{got.restart_seconds:.2f} s" if got.in_order else "not in order",
            f"{RESTART_SECONDS:.0f} s",
            got.in_order and got.restart_seconds <= RESTART_SECONDS,
        ),
    ]


def followers(folder: Path, count: int) -> list[Row]:
    """Rows about pages."""
    got = soak_followers(folder, count, plan_of(97, 8, folder))
    said = f"{got.median_ms:.0f} ms, 95 % within {got.p95_ms:.0f} ms, {got.updates} updates"
    met = got.p95_ms <= DELAY_MS and got.saw_the_end == count
    return [(f"an event to each of {count} followers", said, "95 % within 1 s", met)]


def scrapes(folder: Path, count: int) -> list[Row]:
    """Rows about whoever reads the metrics."""
    got = soak_scrapes(folder, count, plan_of(9, 1, folder))
    said = f"{got.median_ms:.1f} ms, 99 % within {got.p99_ms:.1f} ms, {got.lost} lost"
    met = got.p99_ms <= SCRAPE_MS and not got.lost
    return [(f"one of {count} readings of /metrics, 100 a second", said, "99 % within 50 ms, 0", met)]


def jobs(folder: Path, count: int) -> list[Row]:
    """Rows about one engine."""
    plan = plan_of(9, 4, folder)
    got = soak_jobs(folder, count, plan)
    growth = got.last_mib / got.first_mib
    whole = got.finished == count and got.steps == count * plan.request.steps
    return [
        (f"{count} jobs of one engine, {got.steps} steps", f"{got.finished} finished", str(count), whole),
        ("memory, end ÷ after a tenth", f"{growth:.3f} ({got.last_mib:.0f} MiB)", "1.05", growth <= GROWTH),
        (
            "open handles, end and after a tenth",
            f"{got.last_handles}, {got.first_handles}",
            "the same",
            got.last_handles <= got.first_handles,
        ),
    ]


SOAKS: dict[str, tuple[Callable[[Path, int], list[Row]], int]] = {
    "kills": (kills, 5),
    "drafts": (queue, 100),
    "followers": (followers, 20),
    "scrapes": (scrapes, 200),
    "jobs": (jobs, 200),
}
"""Each with its short form."""


def main(arguments: list[str] | None = None) -> int:
    """Run the soaks and print their table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SOAKS, help="this one alone")
    for name, (_, short) in SOAKS.items():
        parser.add_argument(f"--{name}", type=int, default=short, metavar="N", help=f"how many ({short})")
    options = parser.parse_args(arguments)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    print(f"{platform.machine()}, {os.cpu_count()} cores, {date.today()}, commit {commit.strip()}\n")
    print("| what | measured | target |\n|---|---|---|", flush=True)
    met = True
    for name, (soak, _) in SOAKS.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                for what, measured, target, good in soak(Path(folder), getattr(options, name)):
                    print(f"| {what} | {measured}{'' if good else ' (missed)'} | {target} |", flush=True)
                    met = met and good
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
