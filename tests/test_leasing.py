"""Leases on ZeroGPU, with the real `spaces` package and its forks; the lender is played, and there is no card."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.drafts.journal import Journal
from pipeline.leasing import LOADING_SECONDS, LONGEST_SECONDS, borrow, lease_seconds, make_chunk, probe_lender
from pipeline.plan.device import DeviceKind
from pipeline.plan.memory import Stage
from tests.conftest import PlanMaker
from tests.leases import TOKEN
from tests.lender import Lender
from tests.source import ROOT

pytest.importorskip("spaces", reason="spaces is not installed")
DRAFT = "20260101-000000-0123456789abcdef"


@pytest.fixture
def lender() -> Iterator[Lender]:
    with Lender().open() as lender:
        yield lender


def make(lender: Lender, drafts: Path, what: str = "whole") -> dict[str, Any]:
    """What `tests/leases.py` prints at last."""
    environment = os.environ | {
        "SPACES_ZERO_GPU": "1",
        "SPACES_ZERO_DEVICE_API_URL": lender.url,
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.leases", str(drafts), what]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_draft_is_made_by_a_lease_a_chunk_in_the_visitors_name(lender: Lender, tmp_path: Path) -> None:
    told = make(lender, tmp_path)
    assert told["chunks"] == 4
    assert (told["state"], told["said"]) == ("finished", "")
    leases = lender.told("schedule")
    assert [lease["token"] for lease in leases] == [TOKEN] * 4
    assert all(0 < int(lease["durationSeconds"]) <= LONGEST_SECONDS * 1.5 for lease in leases)
    assert told["events"].count("ChunkDenoised") == 4
    assert told["events"].count("Encoded") == 4  # read by the first lease, found by the others
    assert [lease["fail"] for lease in lender.told("release")] == ["false"] * 4
    assert lender.asked[0] == ("startup-report", {})
    assert (next(tmp_path.glob("*/draft.mp4"))).stat().st_size > 0


@pytest.mark.slow
def test_a_stop_is_heard_in_a_fork_and_keeps_what_is_finished(lender: Lender, tmp_path: Path) -> None:
    told = make(lender, tmp_path, "stop")
    assert told["state"] == "stopped"
    assert told["events"].count("ChunkDenoised") == 1
    assert len(lender.told("schedule")) == 2
    assert list(tmp_path.glob("*/draft.mp4"))


@pytest.mark.slow
def test_what_the_lender_refuses_is_told_and_what_is_finished_is_kept(lender: Lender, tmp_path: Path) -> None:
    lender.patience = 1
    told = make(lender, tmp_path)
    assert (told["state"], told["said"]) == ("failed", "No GPU was available")
    assert told["events"][-1] == "Failed"
    assert told["events"].count("ChunkDenoised") == 1
    assert list(tmp_path.glob("*/slice-000.mp4"))


def test_a_lease_is_as_long_as_the_forecast_of_a_chunk_at_its_upper_end(make_plan: PlanMaker, tmp_path: Path) -> None:
    plan = make_plan(frames=97, chunk_frames=33)
    assert len(plan.chunks) > 1
    seconds = plan.forecast.stage_seconds
    first = lease_seconds(tmp_path, {}, DRAFT, plan)
    own = (seconds[Stage.DENOISE] + seconds[Stage.DECODE]) / len(plan.chunks)
    assert first == pytest.approx(LOADING_SECONDS + plan.forecast.band * (own + seconds[Stage.ENCODE]))
    journal = Journal(tmp_path, DRAFT)
    journal.begin(plan)
    journal.embeddings_path().touch()
    assert lease_seconds(tmp_path, {}, DRAFT, plan) == pytest.approx(LOADING_SECONDS + plan.forecast.band * own)
    slow = replace(plan, forecast=replace(plan.forecast, stage_seconds=dict.fromkeys(Stage, 1e4)))
    assert lease_seconds(tmp_path, {}, DRAFT, slow) == LONGEST_SECONDS


def test_off_spaces_nothing_is_wrapped() -> None:
    assert borrow() is make_chunk


def test_the_card_that_is_lent_is_planned_for_as_one_that_is_there() -> None:
    card = probe_lender(use_card=False)
    assert (card.kind, card.supposed, card.dtype) == (DeviceKind.CUDA, False, "bfloat16")
