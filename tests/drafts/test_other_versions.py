"""Drafts that an older or a newer Rushes wrote: shown as far as they are understood, and none hides another."""

import json
from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal
from pipeline.plan.draft import DraftPlan
from pipeline.worker import Worker
from tests.conftest import PlanMaker


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    return make_plan(frames=97)


@pytest.mark.fault(35)
@pytest.mark.parametrize("part", ["request", "chunks", "slices", "forecast"])
@pytest.mark.parametrize("content", [None, [], {}, 7, "word", [{"number": 1}]], ids=str)
def test_a_draft_whose_plan_another_version_wrote_hides_no_other(
    tmp_path: Path, plan: DraftPlan, part: str, content: object
) -> None:
    drafts = [Journal(tmp_path, f"2026010{number}-120000-{number:016x}") for number in (1, 2, 3)]
    for journal in drafts:
        journal.begin(plan)
    written = json.loads(drafts[1].path("plan.json").read_text())
    changed = written | {part: content} if content is not None else {k: v for k, v in written.items() if k != part}
    drafts[1].path("plan.json").write_text(json.dumps(changed))
    worker = Worker(tmp_path)
    names = [status.draft for status in worker.recent(10)]
    worker.close()
    assert [name for name in names if name != drafts[1].draft] == [drafts[2].draft, drafts[0].draft]
