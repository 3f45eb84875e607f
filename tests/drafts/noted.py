"""A draft's folder with a request and a plan in it, and two events to note there."""

from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.events import Encoded, SliceReady
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.draft import DraftPlan
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker

ENCODED = Encoded(sentences=1, cached=0, seconds=0.5)
SLICE = SliceReady(index=0, chunk=0, file="slice-000.mp4", first_frame=0, frames=33, seconds=0.2)


@pytest.fixture
def plan(make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker) -> DraftPlan:
    return plan_draft(make_request(prompt="ein roter Ball 红"), make_device(), make_profile())


@pytest.fixture
def journal(tmp_path: Path, plan: DraftPlan) -> Journal:
    journal = Journal(tmp_path / "drafts", new_draft_id())
    journal.begin(plan)
    return journal
