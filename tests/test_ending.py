"""SIGTERM: what runs is kept and goes on at the next start; a second one ends at once; a kill loses nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.drafts.journal import Journal, last_event, read_events
from pipeline.drafts.status import DraftState
from pipeline.plan.draft import DraftPlan
from pipeline.signals import ENDED_BY_SIGNAL
from pipeline.worker import Worker
from tests.source import ROOT
from tests.workers import PATIENCE_SECONDS, long

__all__ = ["long"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
RUSHES = [sys.executable, "-m", "pipeline"]


def wait_until(condition: Callable[[], Any]) -> None:
    stop = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < stop
        time.sleep(0.02)


def count(drafts: Path, kind: str) -> int:
    """Events of a kind in the only draft there is."""
    (folder,) = (path for path in drafts.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [row["event"] for row in read_events(folder)].count(kind)


@contextmanager
def studio(drafts: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real one, on a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "app.py", "--port", port, "--no-browser", "--drafts", str(drafts)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as app:
        try:
            yield app
        finally:
            app.kill()


def queue_one(drafts: Path, plan: DraftPlan) -> str:
    """As a studio that was closed before it could begin."""
    worker = Worker(drafts)
    draft = worker.submit(plan)
    worker.close()
    return draft


@pytest.mark.fault(12)
def test_a_studio_that_is_told_to_end_keeps_what_runs_and_exits_with_0(tmp_path: Path, long: DraftPlan) -> None:
    draft = queue_one(tmp_path, long)
    with studio(tmp_path) as app:
        wait_until(lambda: count(tmp_path, "StepDone") >= 2)
        app.send_signal(signal.SIGTERM)
        assert app.wait(PATIENCE_SECONDS) == 0
    assert [row["event"] for row in read_events(tmp_path / draft)][-2:] == ["Stopped", "Queued"]
    again = Worker(tmp_path)
    waiting, status = again.waiting(), again.status(draft)
    again.close()
    assert waiting == [draft]
    assert status is not None
    assert status.state is DraftState.QUEUED
    assert not Journal(tmp_path, draft).stop_requested()


@pytest.mark.fault(12)
def test_the_second_time_it_ends_at_once_with_its_engine(tmp_path: Path, long: DraftPlan) -> None:
    draft = queue_one(tmp_path, long)
    with studio(tmp_path) as app:
        wait_until(lambda: count(tmp_path, "StepDone") >= 1)
        engines = psutil.Process(app.pid).children(recursive=True)
        app.send_signal(signal.SIGTERM)
        wait_until(lambda: Journal(tmp_path, draft).stop_requested() or app.poll() is not None)
        app.send_signal(signal.SIGTERM)
        code = app.wait(PATIENCE_SECONDS)
    assert code in (ENDED_BY_SIGNAL + signal.SIGTERM, 0)  # 0: it was through with the first one before
    wait_until(lambda: not any(map(psutil.Process.is_running, engines)))
    again = Worker(tmp_path)
    status, waiting = again.status(draft), again.waiting()
    again.close()
    assert waiting == [draft]
    assert status is not None
    assert status.state is DraftState.QUEUED  # wherever it was ended, also after it was kept and before it was queued


@pytest.mark.fault(13)
def test_a_studio_that_is_killed_takes_its_engine_along_and_the_next_goes_on(tmp_path: Path, long: DraftPlan) -> None:
    draft = queue_one(tmp_path, long)
    with studio(tmp_path) as app:
        wait_until(lambda: count(tmp_path, "StepDone") >= 1)
        engines = psutil.Process(app.pid).children(recursive=True)
        app.kill()
    assert engines
    wait_until(lambda: not any(map(psutil.Process.is_running, engines)))
    assert (last_event(tmp_path / draft) or {})["event"] != "Queued"
    again = Worker(tmp_path)
    assert not again.read_only
    assert again.waiting() == [draft]
    again.close()


@pytest.mark.fault(12)
def test_the_command_line_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path) -> None:
    command = [*RUSHES, "draft", "a red ball", "--seconds", "60", "--steps", "4", "--drafts", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as made:
        wait_until(lambda: list(tmp_path.glob("*-*")) and count(tmp_path, "StepDone") >= 1)
        made.send_signal(signal.SIGTERM)
        assert made.wait(PATIENCE_SECONDS) == 130
    assert count(tmp_path, "Stopped") == 1
    assert Worker(tmp_path).waiting() == []  # it is the command line's, which `resume` goes on with


def test_signals_are_heeded_inside_only_and_the_second_ends_the_process() -> None:
    lines = [
        "import os, signal, time",
        "from pipeline.signals import heeding_signals",
        "before = signal.getsignal(signal.SIGTERM)",
        "with heeding_signals(lambda: print('asked', flush=True), lambda: print('ending', flush=True)):",
        "    os.kill(os.getpid(), signal.SIGTERM)",
        "assert signal.getsignal(signal.SIGTERM) is before",
        "with heeding_signals(lambda: None, lambda: print('ending', flush=True)):",
        "    os.kill(os.getpid(), signal.SIGTERM)",
        "    os.kill(os.getpid(), signal.SIGINT)",
        "print('never')",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "asked\nending\n"
    assert done.returncode == ENDED_BY_SIGNAL + signal.SIGINT
