"""`python -m pipeline models`: every model, where it is, and what its own draft would take here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.__main__ import main
from pipeline.commands import inventory
from pipeline.commands.inventory import take_inventory
from pipeline.drafts.measurements import Measurements
from pipeline.gpu.loading import ASSETS
from pipeline.plan.catalog import CATALOG, LTX_2B
from pipeline.plan.device import DeviceKind
from pipeline.plan.rates import Rates
from tests.conftest import DeviceMaker
from tests.source import ROOT
from tests.test_installed import whole
from tests.test_weights import Keeper, hub, keep

__all__ = ["hub", "keep"]
FAST = Rates(operations_per_second=1e15, bus_bytes_per_second=1e12, disk_bytes_per_second=1e12, measured=True)


@pytest.fixture(autouse=True)
def machine(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A processor with 24 GiB, and no draft made yet."""
    monkeypatch.setattr(inventory, "probe_device", lambda **_: make_device(gib=24.0))
    monkeypatch.chdir(tmp_path)


def ask(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, Any]]:
    """What machines are told, by model."""
    assert main(["models", "--json", *options]) == 0
    return {entry["key"]: entry for entry in json.loads(capsys.readouterr().out)}


def test_people_get_three_lines_a_model(keep: Keeper, capsys: pytest.CaptureFixture[str]) -> None:
    keep("Wan-AI/Wan2.2-TI2V-5B-Diffusers", "model_index.json")
    assert main(["models"]) == 0
    blocks = dict(zip(CATALOG, capsys.readouterr().out.split("\n\n"), strict=True))
    title, where, draft = blocks["miniature"].splitlines()
    assert title == "Miniature (miniature), licence: Apache-2.0"
    assert where == f"  here, 30 MiB in {ASSETS / 'miniature'}"
    assert draft.startswith("  256x160, 4.0 s, 24 steps: 616 MiB of main memory, ")
    assert draft.endswith(", 3 chunks")
    assert blocks["ltx-2b"].splitlines()[1] == "  not here, 14.8 GiB: python -m pipeline download ltx-2b"
    assert blocks["wan-5b"].splitlines()[1].startswith("  partly here, 0 MiB; 21.2 GiB are to come: python -m")
    assert "needs about" in blocks["wan-a14b"].splitlines()[2]
    assert "What fits:" in blocks["wan-a14b"].splitlines()[2]


def test_machines_get_numbers(keep: Keeper, capsys: pytest.CaptureFixture[str]) -> None:
    folder = keep(LTX_2B.repository, *whole(LTX_2B))
    told = ask(capsys)
    assert list(told) == list(CATALOG)
    assert {key: entry["presence"] for key, entry in told.items()} == dict.fromkeys(CATALOG, "absent") | {
        "miniature": "shipped",
        "ltx-2b": "cached",
        "ltx-2b-distilled": "partial",  # its text encoder is the other's
    }
    assert [key for key, entry in told.items() if entry["usable"]] == ["miniature", "ltx-2b"]
    assert told["ltx-2b"]["folder"] == str(folder)
    plan = told["ltx-2b"]["draft"]
    assert (plan["width"], plan["height"], plan["frames"], plan["steps"], plan["chunks"]) == (704, 480, 121, 40, 1)
    assert 0 < plan["peak_bytes"] <= plan["budget_bytes"]
    assert 0 < plan["low_seconds"] < plan["high_seconds"]
    assert (told["wan-a14b"]["draft"], told["wan-a14b"]["refusal"] != "") == (None, True)


def test_a_card_is_said_to_be_one(
    make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inventory, "probe_device", lambda **_: make_device(24.0, DeviceKind.CUDA))
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "of the card" in out
    assert "of main memory, " not in out


def test_what_was_measured_here_is_what_is_forecast(make_device: DeviceMaker, tmp_path: Path) -> None:
    slow, *_ = take_inventory(tmp_path)
    Measurements(tmp_path).record_rates(make_device(gib=24.0), FAST)
    fast, *_ = take_inventory(tmp_path)
    assert fast.plan
    assert slow.plan
    assert fast.plan.forecast.high_seconds < slow.plan.forecast.high_seconds


def test_a_draft_is_planned_as_plan_would(monkeypatch: pytest.MonkeyPatch, make_device: DeviceMaker) -> None:
    monkeypatch.setattr(pipeline, "probe_device", lambda **_: make_device(gib=24.0))
    for entry in take_inventory(Path("drafts"))[:2]:
        key = entry.installation.spec.key
        assert entry.plan == pipeline.plan(pipeline.request("-", model=key, seed=0))


def test_nothing_is_written(tmp_path: Path) -> None:
    assert main(["models"]) == 0
    assert not list(tmp_path.iterdir())


# Folders of one's own -----------------------------------------------------------------------------------------------
def test_a_folder_of_ones_own_is_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = shutil.copytree(ASSETS / "miniature", tmp_path / "mine")
    told = ask(capsys, "--weights", "miniature=mine")["miniature"]
    assert (told["presence"], told["folder"], told["usable"]) == ("folder", str(own), True)


def test_a_wrong_folder_ends_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--weights", f"wan-5b={ASSETS / 'miniature'}"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "is not Wan2.2 TI2V-5B: its pipeline is LTXConditionPipeline, not WanPipeline." in err
    assert f"--weights miniature={ASSETS / 'miniature'}" in err
    assert err.count("\n") == 1


# Where Hugging Face's cache is --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "cache"), [("HF_HOME", "hub"), ("HF_HUB_CACHE", "")])
def test_the_shared_cache_is_where_hugging_face_has_it(keep: Keeper, tmp_path: Path, name: str, cache: str) -> None:
    folder = keep(LTX_2B.repository, *whole(LTX_2B))
    shared = tmp_path / "shared"
    shutil.copytree(tmp_path / "hub", shared / cache)
    others = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "models", "--json", "--drafts", str(tmp_path / "drafts")],
        cwd=ROOT,
        env=others | {name: str(shared)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (told,) = (entry for entry in json.loads(done.stdout) if entry["key"] == "ltx-2b")
    assert told["presence"] == "cached"
    assert told["folder"] == str(shared / cache / folder.relative_to(tmp_path / "hub"))
