"""Whether anybody can tell where a chunk ends: the miniature's drafts of several chunks, by every tail mode.

    python -m tests.bench.chunks [--prompts 24] [--chunks 4 8] [--tails latents frames] [--only films drift exact]
    python -m tests.bench.chunks --tuning --prompts 6      # to choose settings with, on other sentences
    python -m tests.bench.chunks --size 160 96             # a quarter of the time
    python -m tests.bench.chunks --only strip --picture assets/seam.png

films   seams by the numbers of `python -m pipeline seams`, how often the object keeps its colour, shape and direction
drift   what the longest drafts drift more than the same seed in one window, however long: the whole picture, which
        changes with what its object does, and what the background and the object are painted with
exact   one chunk against the bare pipeline, frame counts, what a second shot changes and what it does not
cost    resident memory of a long draft, time beside the bare work of the model
hold    what else can hold chunks together (plan/spec.py, Continuity), against nothing, by seams and drift
strip   a picture of one seam: two clips put end to end, and every tail mode

*drawn* films are the scenes that the miniature was trained on, without a model: they have no seams, so what is flagged
or lost there is the measurement's own mistake; so is what is flagged half-way between two seams. Prints Markdown;
numbers of seams are median, worst, and how many are beyond their limit.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pipeline
from pipeline.engine import Engine
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import Continuity, VideoShape
from pipeline.training.scenes import Words
from tests.bench.chunks import cost, exact, films, strip, table
from tests.bench.chunks.films import Measured

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("films", "drift", "exact", "cost")
DRAWN = "drawn"
UNCHUNKED = "in one window"
HELD_BY = {
    "nothing else": Continuity(),
    "anchor 0.25": Continuity(anchor=0.25),
    "anchor 0.5": Continuity(anchor=0.5),
    "shared noise 0.5": Continuity(shared_noise=0.5),
    "match colour 1": Continuity(match_colour=1.0),
    "anchor 0.5, match colour 1": Continuity(anchor=0.5, match_colour=1.0),
    "anchor 1, match colour 1": Continuity(anchor=1.0, match_colour=1.0),
    "these, guided share 0.35": Continuity(anchor=0.5, match_colour=1.0, guided_share=0.35),
    "these, recall 0.9": Continuity(anchor=0.5, match_colour=1.0, guided_share=0.35, recall=0.9),
    "tail strength 0.9": Continuity(tail_strength=0.9),
    "tail strength 0.7": Continuity(tail_strength=0.7),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is asked of every part."""

    engine: Engine
    prompts: int
    drifting: int
    shape: VideoShape
    tuning: bool


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--drift-prompts", type=int, default=24, help="how many are made in one window, too")
    parser.add_argument("--chunks", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=(256, 160))
    parser.add_argument("--tails", nargs="+", choices=MINIATURE.tails, default=list(MINIATURE.tails))
    parser.add_argument("--choices", nargs="+", choices=HELD_BY, default=list(HELD_BY), help="of `hold`")
    parser.add_argument("--only", nargs="+", choices=(*PARTS, "hold", "strip"), default=list(PARTS))
    parser.add_argument("--tuning", action="store_true", help="the sentences that settings are chosen with")
    parser.add_argument("--picture", type=Path, default=Path("seam.png"), help="where `strip` goes")
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    print(f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, commit {commit.strip()}", end="")
    print(f", {options.prompts} sentences, {options.size[0]}x{options.size[1]}, {MINIATURE.default_steps} steps")
    with tempfile.TemporaryDirectory() as drafts:
        width, height = options.size
        run = Run(
            engine=Engine(Path(drafts)),
            prompts=options.prompts,
            drifting=min(options.prompts, options.drift_prompts),
            shape=VideoShape(width=width, height=height),
            tuning=options.tuning,
        )
        if "strip" in options.only:
            strip.paint(run.engine, options.tails, options.picture)
        made: dict[str, list[Measured]] = {}
        if "films" in options.only:
            print(f"\n{table.header(table.SEAM_COLUMNS)}")
            for chunks in options.chunks:
                made = compare_tails(run, options.tails, chunks)
        if "drift" in options.only:
            print(f"\n{table.header(table.DRIFT_COLUMNS)}", flush=True)
            compare_drift(run, made, options.chunks[-1])
        if "hold" in options.only:
            compare_choices(run, options.choices, options.chunks[-1])
        if {"exact", "cost"} & {*options.only}:
            print("\n| what | measured | target |\n|---|---|---|")
        if "exact" in options.only:
            for line in (
                *exact.count_frames(),
                *exact.measure_one_chunk(run.engine),
                *exact.measure_second_shot(run.engine, wishes(run, 4)),
            ):
                print(f"| {line} |", flush=True)
        if "cost" in options.only:
            for line in (*cost.measure_memory(), *cost.measure_time()):
                print(f"| {line} |", flush=True)


def compare_tails(run: Run, tails: Sequence[str], chunks: int) -> dict[str, list[Measured]]:
    """One line a tail mode, and one of drawn films; what was measured, by mode."""
    made: dict[str, list[Measured]] = {}
    for tail in tails:
        made[tail] = [make(run, words, request, tail) for words, request in wishes(run, chunks)]
        print(table.seam_row(tail, made[tail]))
        print(table.between_row(tail, made[tail]), flush=True)
    drawn = []
    for words, request in wishes(run, chunks):
        path = films.draw(words, request, run.engine.drafts / "drawn.mp4")
        drawn.append(films.measure(path, words, pipeline.plan(request)))
    print(table.seam_row(DRAWN, drawn))
    print(table.between_row(DRAWN, drawn), flush=True)
    return made | {DRAWN: drawn}


def wishes(run: Run, chunks: int) -> list[tuple[Words, GenerationRequest]]:
    """What is asked for."""
    return list(films.wishes(run.prompts, chunks, shape=run.shape, tuning=run.tuning))


def make(run: Run, words: Words, request: GenerationRequest, tail: str) -> Measured:
    """A draft by a tail mode."""
    plan = pipeline.plan(replace(request, tail=tail))
    return tell(tail, films.measure(films.make(run.engine, plan), words, plan))


def tell(name: str, film: Measured) -> Measured:
    """A line on the error stream, for who waits: every seam's numbers, and what is beyond a limit."""
    seams = "; ".join(
        " ".join(
            f"{metric}={value:.2f}{'!' if metric in finding.beyond else ''}" for metric, value in finding.values.items()
        )
        for finding in film.verdict.findings
    )
    print(
        f"{time.strftime('%H:%M:%S')} {name}: {film.words} {film.looks} {film.verdict.drift} {film.fading} {seams}",
        file=sys.stderr,
    )
    return film


def compare_drift(run: Run, made: dict[str, list[Measured]], chunks: int) -> None:
    """One line a tail mode, against the same seeds in one window; without `films` the usual mode only."""
    wanted = wishes(run, chunks)[: run.drifting]
    usual = MINIATURE.tail
    made = made or {usual: [make(run, words, request, usual) for words, request in wanted]}
    whole = []
    for words, request in wanted:
        plan = pipeline.plan(request)
        film = films.measure(films.make(run.engine, films.in_one_window(plan)), words, plan)
        whole.append(tell(UNCHUNKED, film))
    for name, measured in made.items():
        print(table.drift_row(name, measured[: len(whole)], whole), flush=True)
    print(f"\n{table.header(table.OWN_COLUMNS)}")
    for name, measured in (made | {UNCHUNKED: whole}).items():
        print(table.own_drift_row(name, measured[: len(whole)]), flush=True)
    print(f"\n{table.header(table.FADING_COLUMNS)}")
    for name, measured in (made | {UNCHUNKED: whole}).items():
        print(table.fading_row(name, measured[: len(whole)], whole))
    print(f"\n{table.header(table.SEAM_COLUMNS)}\n{table.seam_row(UNCHUNKED, whole)}", flush=True)


def compare_choices(run: Run, choices: Sequence[str], chunks: int) -> None:
    """Two lines a choice of `HELD_BY`, of seams and of drift beside the same seeds in one window."""
    made: dict[str, list[Measured]] = {name: [] for name in (UNCHUNKED, *choices)}
    for words, request in wishes(run, chunks):
        plan = pipeline.plan(request)
        film = films.make(run.engine, films.in_one_window(plan))
        made[UNCHUNKED].append(tell(UNCHUNKED, films.measure(film, words, plan)))
        for name in choices:
            plan = pipeline.plan(replace(request, continuity=HELD_BY[name]))
            made[name].append(tell(name, films.measure(films.make(run.engine, plan), words, plan)))
    whole = made.pop(UNCHUNKED)
    print(f"\n{table.header(table.SEAM_COLUMNS)}")
    for name, measured in made.items():
        print(table.seam_row(name, measured))
    print(f"\n{table.header(table.DRIFT_COLUMNS)}")
    for name, measured in made.items():
        print(table.drift_row(name, measured, whole), flush=True)


if __name__ == "__main__":
    main()
