"""The engine's own process: killed, hung, never starting. What it was making goes on by itself, once."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from ctypes import c_uint64
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import pytest

from pipeline import heartbeat
from pipeline import process as process_module
from pipeline.drafts.journal import read_events
from pipeline.drafts.status import DraftState
from pipeline.events import Event, Failed, Paused, StepDone
from pipeline.heartbeat import Watchdog
from pipeline.plan.draft import DraftPlan
from pipeline.process import EngineProcess
from pipeline.serving import serve
from pipeline.worker import Worker
from tests.tiny import count_frames
from tests.workers import follow, idle, long, over, short

__all__ = ["idle", "long", "short"]

LOSE = "lose"  # a file


def kill(worker: Worker) -> None:
    assert worker.engine_pid is not None
    os.kill(worker.engine_pid, signal.SIGKILL)


def serve_and_lose_the_card(*arguments: Any) -> None:
    """As long as a file says so, once: as torch tells what CUDA does not get over."""
    from pipeline.engine import Engine

    whole, lose = Engine.run, arguments[2] / LOSE

    def run(self: Engine, plan: DraftPlan, draft: str, emit: Callable[[Event], None]) -> None:
        def tell(event: Event) -> None:
            emit(event)
            if isinstance(event, StepDone) and lose.exists():
                lose.unlink()
                raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_…")

        whole(self, plan, draft, tell)

    Engine.run = run  # type: ignore[method-assign]
    serve(*arguments)


@pytest.mark.fault(7, 13)
def test_a_draft_whose_process_was_killed_or_lost_its_card_goes_on_by_itself_once(
    idle: Worker, long: DraftPlan, short: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "serve", serve_and_lose_the_card)
    running = idle
    running.start()
    lost, waiting = running.submit(long), running.submit(short)
    seen = follow(running, lost, lambda status: len(status.slices) >= 1)
    kill(running)
    gone_on = follow(running, lost, lambda status: len(status.slices) > len(seen.slices) + 1)
    assert gone_on.state is DraftState.RUNNING
    events = read_events(running.drafts / lost)
    done = [(row["chunk"], row["step"]) for row in events if row["event"] == "StepDone"]
    assert len([step for step in done if step[0] < seen.chunks_done]) == seen.chunks_done * long.request.steps
    gone = running.engine_pid
    (running.drafts / LOSE).touch()
    failed = follow(running, lost, over)
    assert failed.state is DraftState.FAILED
    assert failed.message == process_module.LOST.message
    assert failed.slices
    for piece in failed.slices:
        assert count_frames(running.drafts / lost / piece.file) == piece.frames
    assert read_events(running.drafts / lost)[-1]["event"] == "Failed"
    assert follow(running, waiting, over).state is DraftState.FINISHED
    assert running.engine_pid != gone


class Clumsy:
    """An owner that cannot take in what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def engine_ready(self) -> None:
        self.told.append("ready")
        raise RuntimeError("a mistake")

    def engine_said(self, draft: str, event: Event) -> None:
        del event
        self.told.append(draft)
        raise OSError(40, "Too many levels of symbolic links")

    def engine_died(self, reason: Failed, *, broken: bool) -> None:
        pytest.fail(f"nobody died: {reason}, {broken}")


def test_a_process_is_listened_to_whatever_becomes_of_what_it_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    owner = Clumsy()
    ours, theirs = multiprocessing.Pipe()
    for message in (None, ("one", Paused()), ("two", Paused())):
        theirs.send(message)
    theirs.close()
    ready, hung = EngineProcess(tmp_path, {}, owner)._listen(ours, Watchdog(RawValue(c_uint64, 0)))
    assert (ready, hung, owner.told) == (True, False, ["ready", "one", "two"])
    assert caplog.text.count("what the engine said was not taken in: Paused") == 2
    ours.close()


@pytest.mark.slow
def test_a_process_that_never_starts_fails_what_waits_for_it(
    idle: Worker, short: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "serve", exit_at_once)
    monkeypatch.setattr(process_module, "RETRY_PAUSE_SECONDS", 600.0)
    draft = idle.submit(short)
    idle.start()
    failed = follow(idle, draft, over)
    assert (failed.state, failed.message) == (DraftState.FAILED, process_module.NEVER_READY.message)
    assert idle.waiting() == []


def exit_at_once(*_: object) -> None:
    """As a broken installation does."""


def serve_and_hang(*arguments: Any) -> None:
    """As a driver that does not come back, in the second step of the first process's draft."""
    from pipeline.engine import Engine

    whole, drafts = Engine.run, arguments[2]

    def run(self: Engine, plan: DraftPlan, draft: str, emit: Callable[[Event], None]) -> None:
        def hang(event: Event) -> None:
            emit(event)
            if isinstance(event, StepDone) and event.step == 2 and not (drafts / "hung").exists():
                (drafts / "hung").touch()
                time.sleep(600)

        whole(self, plan, draft, hang)

    Engine.run = run  # type: ignore[method-assign]
    serve(*arguments)


@pytest.mark.fault(32)
def test_a_process_that_stands_still_is_ended_and_its_draft_goes_on(
    idle: Worker, short: DraftPlan, make_plan: Callable[..., DraftPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "serve", serve_and_hang)
    monkeypatch.setattr(heartbeat, "SILENCE_SECONDS", 6.0)
    monkeypatch.setattr(heartbeat, "SILENT_STEPS", 0)
    plan = make_plan(shape=short.request.shape, frames=49, steps=4, guidance=1.0)
    draft = idle.submit(plan)
    idle.start()
    follow(idle, draft, lambda status: status.step == 2)
    hung = idle.engine_pid
    assert follow(idle, draft, over).state is DraftState.FINISHED
    assert idle.engine_pid != hung
    assert [row["event"] for row in read_events(idle.drafts / draft)].count("Started") == 2
    assert count_frames(idle.drafts / draft / "draft.mp4") == 49


def serve_and_think(*arguments: Any) -> None:
    """As a stage that says nothing for a while, but works."""
    import torch

    from pipeline.engine import Engine

    whole = Engine.run
    network = torch.nn.Sequential(*(torch.nn.Linear(64, 64), torch.nn.GELU(), torch.nn.LayerNorm(64)) * 4)

    def run(self: Engine, plan: DraftPlan, draft: str, emit: Callable[[Event], None]) -> None:
        until = time.monotonic() + 8
        while time.monotonic() < until:
            network(torch.zeros(64, 64))
        whole(self, plan, draft, emit)

    Engine.run = run  # type: ignore[method-assign]
    serve(*arguments)


@pytest.mark.slow
def test_a_process_that_works_in_silence_is_let_alone(
    idle: Worker, short: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "serve", serve_and_think)
    monkeypatch.setattr(heartbeat, "SILENCE_SECONDS", 6.0)
    monkeypatch.setattr(heartbeat, "SILENT_STEPS", 0)
    draft = idle.submit(short)
    idle.start()
    assert follow(idle, draft, over).state is DraftState.FINISHED
    assert [row["event"] for row in read_events(idle.drafts / draft)].count("Started") == 1


def serve_and_finish_silently(pipe: Connection, beats: c_uint64, drafts: Path, *rest: Any) -> None:
    """Killed just after its draft was finished, before it could say so."""
    from pipeline.engine import Engine

    whole = Engine.run

    def run(self: Engine, plan: DraftPlan, draft: str, _emit: Callable[[Event], None]) -> None:
        whole(self, plan, draft, lambda _: None)
        os.kill(os.getpid(), signal.SIGKILL)

    Engine.run = run  # type: ignore[method-assign]
    serve(pipe, beats, drafts, *rest)


@pytest.mark.fault(13)
def test_a_draft_that_was_finished_by_a_killed_process_is_not_made_again(
    idle: Worker, short: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "serve", serve_and_finish_silently)
    draft = idle.submit(short)
    idle.start()
    end = follow(idle, draft, over)
    assert (end.state, end.video_frames, len(end.slices)) == (DraftState.FINISHED, 9, 1)
    events = [row["event"] for row in read_events(idle.drafts / draft)]
    assert (events.count("Started"), events.count("Finished")) == (1, 1)
