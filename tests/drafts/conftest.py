"""Drafts to be edited."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.drafts.journal import ID_PATTERN, Journal
from pipeline.events import Event, StepDone
from pipeline.plan.draft import DraftPlan
from tests.conftest import PlanMaker
from tests.drafts.edited import contents
from tests.tiny import make_draft


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    """Three chunks of 7, 6 and 6 latents."""
    made = make_plan(frames=97)
    assert [chunk.stop for chunk in made.chunks] == [7, 10, 13]
    return made


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drafts folder, with the finished draft in it as soon as a test has asked for that."""
    return tmp_path_factory.mktemp("drafts")


@pytest.fixture
def old(tmp_path: Path, plan: DraftPlan, made_once: Path) -> Iterator[Journal]:
    """A finished draft, of which no byte is changed whatever a test does."""
    if not any(made_once.iterdir()):
        make_draft(made_once, plan)
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    (draft,) = (folder.name for folder in tmp_path.iterdir() if ID_PATTERN.fullmatch(folder.name))
    journal = Journal(tmp_path, draft)
    before = contents(journal)
    yield journal
    assert contents(journal) == before


@pytest.fixture
def stopped(tmp_path: Path, plan: DraftPlan) -> Journal:
    """Two of three chunks."""

    def say(event: Event, journal: Journal) -> None:
        if isinstance(event, StepDone) and event.chunk == 2:
            journal.request_stop()

    _, journal = make_draft(tmp_path, plan, say)
    assert not journal.latents_path(2).exists()
    return journal


@pytest.fixture
def mine(old: Journal, tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """The finished draft once more, for a test to damage."""
    drafts = tmp_path_factory.mktemp("damaged")
    shutil.copytree(old.folder.parent, drafts, dirs_exist_ok=True)
    return Journal(drafts, old.draft)
