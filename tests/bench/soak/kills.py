"""Kill -9 of the engine's process at random moments: every draft ends whole, once, and as if nothing had been."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import pipeline
from pipeline.drafts.journal import Journal, new_draft_id, read_events
from pipeline.drafts.status import DraftState
from pipeline.engine import Engine
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import GenerationRequest, Shot
from pipeline.plan.spec import VideoShape
from pipeline.video.mp4 import read_frames
from pipeline.worker import Worker

PATIENCE_SECONDS = 600.0
IN_LINE = 2  # drafts that wait or run while there are kills to come
PROMPTS = ("a red ball moves left over snow", "a blue star rises over the sea", "a pink square grows over sand")


@dataclass(slots=True, kw_only=True)
class KillFigures:
    """What became of the drafts, counted on disk at the end."""

    kills: int
    drafts: int = 0
    went_on_when_asked: int = 0  # died twice, as promised failed with its parts kept, and was resumed
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    half_files: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    respawn_seconds: list[float] = field(default_factory=list)
    ready_seconds: list[float] = field(default_factory=list)


def soak_kills(
    folder: Path, kills: int, *, prompts: int = len(PROMPTS), seed: int = 1, life_seconds: float | None = None
) -> KillFigures:
    """Make the same few drafts, of so many sentences, again and again while their process is killed `kills` times.

    A process that is ready lives for `life_seconds` at most, what a new one needs for a draft where none are given.
    """
    chance, figures = random.Random(seed), KillFigures(kills=kills)
    plans = [_plan(prompt, number, folder / "drafts") for number, prompt in enumerate(PROMPTS[:prompts])]
    made: dict[str, DraftPlan] = {}
    whole = _make_unbroken(folder / "whole", plans)
    with closing(Worker(folder / "drafts", longest_queue=10)) as worker:
        worker.start()
        life_seconds = life_seconds or _live_once(worker, plans[0], made)
        for _ in range(kills):
            while len(_unfinished(worker, made, figures)) < IN_LINE:
                plan = plans[len(made) % len(plans)]
                made[worker.submit(plan)] = plan
            _kill(worker, chance, life_seconds, figures)
        for draft in made:
            while _wait_for_end(worker, draft) is DraftState.FAILED:
                _unfinished(worker, made, figures)
    figures.drafts = len(made)
    for draft, plan in made.items():
        _examine(Journal(folder / "drafts", draft), Journal(folder / "whole", whole[plan.request.seed]), plan, figures)
    names = {path.name for path in (folder / "drafts").iterdir() if not path.name.startswith(".")}
    figures.doubled += sorted(names - set(made))
    return figures


def _make_unbroken(drafts: Path, plans: list[DraftPlan]) -> dict[int, str]:
    """What they are when nobody is killed, by seed, in this process."""
    engine, made = Engine(drafts), dict[int, str]()
    for plan in plans:
        made[plan.request.seed] = new_draft_id()
        engine.run(plan, made[plan.request.seed], lambda _: None)
    return made


def _live_once(worker: Worker, plan: DraftPlan, made: dict[str, DraftPlan]) -> float:
    """Seconds in which a process that follows a killed one reads the weights and makes a draft."""
    _wait_until(lambda: worker.ready)
    draft = worker.submit(plan)
    made[draft] = plan
    first = worker.engine_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    _wait_until(lambda: worker.engine_pid not in (first, None) and worker.ready)
    began = time.monotonic()
    assert _wait_for_end(worker, draft) is DraftState.FINISHED
    return time.monotonic() - began


def _plan(prompt: str, seed: int, drafts: Path) -> DraftPlan:
    request = GenerationRequest(
        shots=(Shot(prompt=prompt, seconds=73 / 24),),
        model="miniature",
        shape=VideoShape(width=96, height=96),
        frames=73,
        steps=6,
        guidance=1.0,
        seed=seed,
    )
    return pipeline.plan(request, drafts)


def _unfinished(worker: Worker, made: dict[str, DraftPlan], figures: KillFigures) -> list[str]:
    """Those that wait or run; what failed is asked to go on."""
    found = []
    for draft in made:
        status = worker.status(draft)
        if status is not None and status.state is DraftState.FAILED:
            worker.resume(draft)
            figures.went_on_when_asked += 1
            found.append(draft)
        elif status is not None and not status.state.over:
            found.append(draft)
    return found


def _kill(worker: Worker, chance: random.Random, life_seconds: float, figures: KillFigures) -> None:
    """At any moment of a process's life: while it starts, or up to a whole draft's time after it is ready."""
    if chance.random() < 0.8:
        _wait_until(lambda: worker.ready)
    time.sleep(chance.uniform(0, life_seconds))
    pid = worker.engine_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    _wait_until(lambda: worker.engine_pid != pid)
    figures.respawn_seconds.append(time.monotonic() - began)
    if chance.random() < 0.2:
        _wait_until(lambda: worker.ready)
        figures.ready_seconds.append(time.monotonic() - began)


def _wait_until(condition: Callable[[], bool]) -> None:
    stop = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < stop, f"nothing happened for {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.01)


def _wait_for_end(worker: Worker, draft: str) -> DraftState:
    def over() -> bool:
        status = worker.status(draft)
        return status is None or status.state.over

    _wait_until(over)
    status = worker.status(draft)
    assert status is not None
    return status.state


def _examine(journal: Journal, whole: Journal, plan: DraftPlan, figures: KillFigures) -> None:
    rows = [row["event"] for row in read_events(journal.folder)]
    if rows[-1] != "Finished":
        figures.lost.append(journal.draft)
        return
    if rows.count("Finished") != 1:
        figures.doubled.append(journal.draft)
    figures.half_files += [str(path) for path in journal.folder.glob(".*")]
    for chunk in plan.chunks:
        ours, theirs = (load_file(one.latents_path(chunk.index))["latents"] for one in (journal, whole))
        if not np.array_equal(ours, theirs):
            figures.different.append(f"{journal.draft}, chunk {chunk.index}")
    for piece in plan.slices:
        if len(list(read_frames(journal.slice_path(piece.index)))) != piece.frames:
            figures.half_files.append(str(journal.slice_path(piece.index)))
    if not all(map(np.array_equal, _frames(journal, plan), _frames(whole, plan))):
        figures.different.append(f"{journal.draft}, its film")


def _frames(journal: Journal, plan: DraftPlan) -> Iterator[np.ndarray]:
    frames = list(read_frames(journal.video_path()))
    assert len(frames) == plan.request.frames
    return iter(frames)
