"""An edited draft is made like any other; one that is being made, or has nothing finished, is not edited."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.drafts.status import DraftState
from pipeline.errors import InvalidRequest
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Branch, Redo
from pipeline.plan.spec import VideoShape
from pipeline.worker import Worker
from tests.conftest import PlanMaker
from tests.tiny import count_frames
from tests.workers import follow, idle, over, short

__all__ = ["idle", "short"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Worker]:
    """With its process."""
    worker = Worker(tmp_path / "drafts")
    worker.start()
    yield worker
    worker.close()


def test_an_edited_draft_is_made_like_any_other_and_names_its_parent(running: Worker, make_plan: PlanMaker) -> None:
    plan = make_plan(shape=VideoShape(width=96, height=96), frames=73, steps=1, guidance=1.0)
    old = running.submit(plan)
    before = follow(running, old, over)
    new = running.edit(old, Branch(chunk=1))
    begun = running.status(new)
    assert begun is not None
    assert (begun.parent, before.parent) == (old, "")
    end = follow(running, new, over)
    assert (end.state, end.video_frames, end.chunks_done) == (DraftState.FINISHED, 73, 2)
    assert count_frames(running.drafts / new / "draft.mp4") == 73
    unchanged = running.status(old)
    assert unchanged is not None
    assert (unchanged.state, unchanged.video, unchanged.slices) == (before.state, before.video, before.slices)


def test_a_draft_that_is_being_made_or_is_not_there_is_not_edited(idle: Worker, short: DraftPlan) -> None:
    waiting = idle.submit(short)
    with pytest.raises(InvalidRequest, match=r"is being made\. Stop it, or wait"):
        idle.edit(waiting, Redo(chunk=0))
    with pytest.raises(InvalidRequest, match="no such draft"):
        idle.edit("20260101-120000-0123456789abcdef", Redo(chunk=0))
    idle.stop(waiting)
    with pytest.raises(InvalidRequest, match="No chunk of the draft is finished"):
        idle.edit(waiting, Redo(chunk=0))
    assert [status.draft for status in idle.recent(9)] == [waiting]
