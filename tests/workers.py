"""What tests of the worker share: drafts of three lengths, a worker without a process, and how to follow a draft."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.drafts.status import DraftStatus
from pipeline.plan.draft import DraftPlan
from pipeline.plan.spec import VideoShape
from pipeline.worker import Worker
from tests.conftest import PlanMaker

PATIENCE_SECONDS = 120  # far more than a quiet machine needs


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Worker]:
    """A worker without a process: what is submitted waits."""
    worker = Worker(tmp_path / "drafts")
    yield worker
    worker.close()


@pytest.fixture
def short(make_plan: PlanMaker) -> DraftPlan:
    return make_plan(shape=VideoShape(width=96, height=96), frames=9, steps=1, guidance=1.0)


@pytest.fixture
def medium(make_plan: PlanMaker) -> DraftPlan:
    """A few seconds in several chunks."""
    return make_plan(shape=VideoShape(width=96, height=96), frames=241, steps=4, guidance=1.0)


@pytest.fixture
def long(make_plan: PlanMaker) -> DraftPlan:
    """A minute of film: far longer than any test waits for."""
    return make_plan(shape=VideoShape(width=96, height=96), frames=1441, steps=4, guidance=1.0)


def follow(worker: Worker, draft: str, until: Callable[[DraftStatus], bool]) -> DraftStatus:
    """As the page does: wait for each change until it is what one waits for."""
    version, deadline = -1, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        status = worker.wait(draft, version, 1.0)
        assert status is not None
        if until(status):
            return status
        version = status.version
    raise AssertionError(f"after {PATIENCE_SECONDS} s: {status}")


def over(status: DraftStatus) -> bool:
    return status.state.over
