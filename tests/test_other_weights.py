"""A draft goes on with the weights it was begun with; where others are in their place it says so and mixes nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.drafts.journal import Journal
from pipeline.drafts.surgery import begin_edit
from pipeline.errors import InvalidRequest
from pipeline.events import ChunkDenoised, Finished, StepDone
from pipeline.gpu import loading
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Redo
from tests.conftest import PlanMaker
from tests.tiny import make_tiny_checkpoint, of, run_until

DRAFT = "20260101-120000-0123456789abcdef"
Install = Callable[[Path], None]


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the same architecture, trained otherwise."""
    assets = tmp_path_factory.mktemp("others")
    make_tiny_checkpoint(assets / MINIATURE.key, seed=1)
    return assets


@pytest.fixture
def install(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put other assets in the miniature's place; those of `tiny` are there first."""
    assert tiny.is_dir()
    return lambda assets: monkeypatch.setattr(loading, "ASSETS", assets)


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    plan = make_plan(frames=73)
    assert len(plan.chunks) == 2
    return plan


@pytest.mark.fault(20)
def test_a_draft_in_part_made_with_other_weights_is_refused_and_keeps_its_part(
    tmp_path: Path, plan: DraftPlan, tiny: Path, others: Path, install: Install
) -> None:
    run_until(tmp_path, plan, DRAFT, lambda event: isinstance(event, StepDone) and event.chunk == 1)
    kept = {path.name: path.read_bytes() for path in (tmp_path / DRAFT).glob("*.safetensors")}
    install(others)
    with pytest.raises(InvalidRequest, match=r"begun with other weights of Miniature than are here now"):
        run_until(tmp_path, plan, DRAFT)
    assert {path.name: path.read_bytes() for path in (tmp_path / DRAFT).glob("*.safetensors")} == kept
    install(tiny.parent)
    again = run_until(tmp_path, plan, DRAFT)
    assert isinstance(again[-1], Finished)
    assert {event.chunk for event in of(StepDone, again)} == {1}


def test_an_edit_of_a_draft_made_with_other_weights_is_refused(
    tmp_path: Path, plan: DraftPlan, others: Path, install: Install
) -> None:
    run_until(tmp_path, plan, DRAFT)
    install(others)
    edited, changed = begin_edit(tmp_path, DRAFT, Redo(chunk=1, seed=99))
    with pytest.raises(InvalidRequest, match="or the one it was made from, was begun with other weights"):
        run_until(tmp_path, changed, edited)
    anew, changed = begin_edit(tmp_path, DRAFT, Redo(chunk=0, seed=99))  # nothing of the old one stays
    assert isinstance(run_until(tmp_path, changed, anew)[-1], Finished)


def test_where_nothing_is_finished_it_begins_anew_with_the_weights_that_are_there(
    tmp_path: Path, plan: DraftPlan, others: Path, install: Install
) -> None:
    first = run_until(tmp_path, plan, DRAFT, lambda event: isinstance(event, StepDone))
    assert not of(ChunkDenoised, first)
    assert Journal(tmp_path, DRAFT).running_path().exists()
    install(others)
    again = run_until(tmp_path, plan, DRAFT)
    assert [event.step for event in of(StepDone, again) if event.chunk == 0] == [1, 2]
    run_until(tmp_path / "plain", plan, DRAFT)
    ours, plain = (
        load_file(Journal(drafts, DRAFT).latents_path(0))["latents"] for drafts in (tmp_path, tmp_path / "plain")
    )
    assert torch.equal(ours, plain)


def test_the_same_weights_elsewhere_and_of_another_day_are_the_same(
    tmp_path: Path, plan: DraftPlan, tiny: Path, install: Install
) -> None:
    run_until(tmp_path / "drafts", plan, DRAFT, lambda event: isinstance(event, StepDone) and event.chunk == 1)
    copied = Path(shutil.copytree(tiny, tmp_path / "copied" / tiny.name))
    for file in copied.glob("*/*.safetensors"):
        os.utime(file, (1, 1))
    install(copied.parent)
    assert isinstance(run_until(tmp_path / "drafts", plan, DRAFT)[-1], Finished)


def test_a_draft_of_an_older_rushes_that_did_not_say_goes_on(
    tmp_path: Path, plan: DraftPlan, others: Path, install: Install
) -> None:
    run_until(tmp_path, plan, DRAFT, lambda event: isinstance(event, StepDone) and event.chunk == 1)
    Journal(tmp_path, DRAFT).weights_path().unlink()
    install(others)
    assert isinstance(run_until(tmp_path, plan, DRAFT)[-1], Finished)
