"""The engine's process is killed in mid-draft: the page lives, and the draft is finished before its visitor's eyes."""

import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from pipeline.drafts.journal import read_events
from tests.browser.studio import PATIENCE_MS, Visit, sync_api

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


def engine_of(drafts: Path) -> psutil.Process:
    """The process under a studio on these drafts that spawned no resource tracker's work: the engine's."""
    apps = {
        process.pid: process
        for process in psutil.process_iter()
        if str(drafts) in " ".join(_command(process)) and "app.py" in " ".join(_command(process))
    }
    # One that it has just forked is called like it until it becomes another
    (app,) = (process for process in apps.values() if process.ppid() not in apps)
    (engine,) = (child for child in app.children() if "spawn_main" in " ".join(_command(child)))
    return engine


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.fault(7)
def test_a_draft_whose_engine_is_killed_finishes_on_the_page(visit: Visit, folder: Path) -> None:
    page, drafts = visit.page, folder / "drafts"
    visit.fill(seconds=5, steps=4)
    visit.make()
    visit.stage("video")
    assert not visit.over
    killed = engine_of(drafts)
    killed.send_signal(signal.SIGKILL)
    sync_api.expect(visit.sentence).to_have_text(re.compile("Starting|Warming up"))
    sync_api.expect(visit.stop_button).to_be_enabled()
    page.get_by_text("Done: 5.0 seconds of video").wait_for(timeout=2 * PATIENCE_MS)  # a process starts, too
    assert visit.over
    visit.wait_until_playing()
    assert engine_of(drafts).pid != killed.pid
    draft = max((path for path in drafts.iterdir() if path.name[0].isdigit()), key=lambda path: path.name)
    events = [row["event"] for row in read_events(draft)]
    assert (events.count("Started"), events.count("Finished")) == (2, 1)
