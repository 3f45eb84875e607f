"""ffmpeg fails, hangs or is gone in the middle of a draft: that is told, and no frame is lost by it."""

import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipeline.drafts.journal import Journal
from pipeline.engine import Engine
from pipeline.errors import DiskFull, WriteFailed
from pipeline.events import ChunkDenoised, Event, Finished, SliceReady, StepDone
from pipeline.plan.draft import DraftPlan
from pipeline.video import mp4
from tests.test_resuming import DRAFT, alike, plan, run, whole
from tests.tiny import of

__all__ = ["plan", "whole"]
pytestmark = [
    pytest.mark.usefixtures("tiny"),
    pytest.mark.fault(23),
    pytest.mark.skipif(sys.platform == "win32", reason="no scripts as programs"),
]
BREAKS = {"fails": "sys.exit('broken')", "hangs": "time.sleep(600)"}


@pytest.mark.parametrize(("how", "calls"), [("fails", 1), ("hangs", 1), ("fails", 3)])
def test_frames_are_not_lost(
    tmp_path: Path, whole: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch, how: str, calls: int
) -> None:
    count, real = tmp_path / "calls", imageio_ffmpeg.get_ffmpeg_exe()
    program = tmp_path / "ffmpeg"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys, time\n"
        f"with open({str(count)!r}, 'a') as file:\n    file.write('x')\n    calls = file.tell()\n"
        f"if calls > {calls}:\n    {BREAKS[how]}\n"
        f"os.execv({real!r}, sys.argv)\n"
    )
    program.chmod(0o755)
    drafts = tmp_path / "drafts"
    with monkeypatch.context() as patch:
        patch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
        patch.setattr(mp4, "TIMEOUT_SECONDS", 15)
        first = failing(drafts, plan)
    assert len(of(SliceReady, first)) == min(calls, 3)
    assert not [path.name for path in (drafts / DRAFT).iterdir() if path.name.startswith(".")]
    again = run(drafts, plan)
    assert isinstance(again[-1], Finished)
    assert {e.chunk for e in of(StepDone, again)} == {0, 1, 2} - {e.chunk for e in of(ChunkDenoised, first)}
    alike(drafts, whole, plan)


def failing(drafts: Path, plan: DraftPlan) -> list[Event]:
    events = list[Event]()
    with pytest.raises(WriteFailed, match="ffmpeg did not") as refusal:
        Engine(drafts).run(plan, DRAFT, events.append)
    assert not isinstance(refusal.value, DiskFull)
    assert "the draft can go on from there" in refusal.value.hint
    assert Journal(drafts, DRAFT).latents_path(0).exists()
    return events
