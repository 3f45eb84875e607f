"""What a row of the card's benchmark measures, here on the processor with small networks: every way, every family."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from pipeline.errors import OutOfMemory
from pipeline.models.wan import WanModel
from pipeline.plan import catalog
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.spec import ModelSpec
from tests.bench.gpu import stages
from tests.bench.gpu.process import FAILED, Figures, Job, Task
from tests.bench.gpu.random_weights import open_random
from tests.bench.gpu.rows import Row, make_plan, sees_both_experts, stages_of
from tests.bench.gpu.stages import measure
from tests.conftest import DeviceMaker
from tests.tiny_wan import TINY_5B, TINY_A14B, small_shape

ROWS = {
    row.model: row
    for row in (
        Row(model="miniature", width=96, height=96, frames=65, steps=2),
        Row(model="wan-5b", width=small_shape(TINY_5B).width, height=small_shape(TINY_5B).height, frames=33, steps=2),
        Row(
            model="wan-a14b",
            width=small_shape(TINY_A14B).width,
            height=small_shape(TINY_A14B).height,
            frames=25,
            steps=3,
        ),
    )
}
STREAMED, KEPT, VISITING = Placement.STREAMED, Placement.KEPT, Placement.VISITING
FP8, INT8, INT4, NATIVE = Precision.FP8, Precision.INT8, Precision.INT4, Precision.FLOAT32
WAYS: dict[str, Mapping[Stage, dict[str, Any]]] = {
    "encoder kept, transformer streamed": {
        Stage.ENCODE: {"placement": KEPT},
        Stage.DENOISE: {"placement": STREAMED},
    },
    "encoder in int8, transformer in fp8": {
        Stage.ENCODE: {"precision": INT8},
        Stage.DENOISE: {"precision": FP8},
        Stage.DECODE: {"tile_pixels": 96},
    },
    "encoder streamed, transformer in fp8 and streamed anew": {
        Stage.ENCODE: {"placement": STREAMED},
        Stage.DENOISE: {"precision": FP8, "placement": STREAMED, "parked": False},
    },
    "transformer in int8": {Stage.DENOISE: {"precision": INT8}},
    "transformer in int4, passes apart": {Stage.DENOISE: {"precision": INT4, "together": False, "parked": False}},
}


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {spec.key: spec for spec in (TINY_5B, TINY_A14B)}
    monkeypatch.setattr(catalog, "CATALOG", MappingProxyType(dict(catalog.CATALOG) | tiny))


@pytest.fixture(params=ROWS)
def plan(request: pytest.FixtureRequest, make_device: DeviceMaker) -> DraftPlan:
    return make_plan(ROWS[request.param], make_device(gib=64.0))


def run(plan: DraftPlan, folder: Path, task: Task = Task.CARD) -> Figures:
    """All that a row's process would send."""
    job = Job(task=task, device=plan.memory.device, folder=folder, plan=plan, stages=stages_of(plan))
    found = Figures()
    for figures in measure(job):
        found |= figures
    return found


@pytest.mark.parametrize("way", WAYS)
def test_each_stage_is_measured_however_it_is_run(plan: DraftPlan, way: str, tmp_path: Path) -> None:
    before = constants.HF_HUB_CACHE
    changed = {stage: replace(choice, **WAYS[way].get(stage, {})) for stage, choice in plan.memory.choices.items()}
    found = run(replace(plan, memory=replace(plan.memory, choices=changed)), tmp_path)
    assert FAILED not in found
    for stage in Stage:
        assert found[stage]["peak_bytes"] > 0
        assert found[stage]["host_bytes"] > 0
        assert found[stage].get("finite", True)
        assert "skipped" not in found[stage]
    assert 0 < found[Stage.DENOISE]["step_seconds"] <= min(found[Stage.DENOISE]["steps_seconds"][1:])
    assert len(found[Stage.DENOISE]["steps_seconds"]) == plan.request.steps
    assert found[Stage.DECODE]["frame_seconds"] > 0
    kept = {path.name for path in (tmp_path / "kept").glob("rushes-quantized/*/*")}
    coarse = {choice.precision for choice in changed.values()} - {NATIVE}
    assert {name.split("-")[1] for name in kept} == {str(precision) for precision in coarse}
    files = list((tmp_path / "checkpoint" / "text_encoder").glob("*.safetensors"))
    assert bool(files) == (changed[Stage.ENCODE].placement is STREAMED)
    assert before == constants.HF_HUB_CACHE
    assert torch.is_grad_enabled()


def test_others_are_given_the_same_work(plan: DraftPlan, tmp_path: Path) -> None:
    found = run(plan, tmp_path, Task.PEERS)
    assert found.keys() == {
        "our_step_seconds",
        "bare_step_seconds",
        "tiled_frame_seconds",
        "tiled_peak_bytes",
        "recipe_step_seconds",
        "recipe_peak_bytes",
    }
    assert all(value > 0 for value in found.values())


@pytest.mark.parametrize("plan", ["miniature"], indirect=True)
def test_the_other_stages_are_measured_where_one_runs_out_of_memory(
    plan: DraftPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*_: object) -> Figures:
        raise OutOfMemory(Stage.DENOISE)

    monkeypatch.setattr(stages, "denoise", exhaust)
    found = run(plan, tmp_path)
    assert found[Stage.DENOISE] == {"exhausted": True}
    assert "denoise" in found[FAILED]
    assert {"peak_bytes"} <= found[Stage.DECODE].keys() & found[Stage.ENCODE].keys()


@pytest.mark.parametrize("plan", ["miniature"], indirect=True)
def test_files_are_not_written_where_there_is_no_room_for_them(
    plan: DraftPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 2**20

    monkeypatch.setattr(stages, "disk_usage", lambda _: Usage)
    streamed = replace(plan.memory.choices[Stage.ENCODE], placement=STREAMED)
    choices = dict(plan.memory.choices) | {Stage.ENCODE: streamed}
    found = run(replace(plan, memory=replace(plan.memory, choices=choices)), tmp_path)
    assert found[Stage.ENCODE]["skipped"].endswith("of disk, 1 MiB are free")
    assert not list(tmp_path.rglob("text_encoder/*.safetensors"))


@pytest.mark.parametrize("spec", [TINY_5B, TINY_A14B], ids=lambda spec: spec.key)
def test_how_many_steps_reach_the_second_expert(spec: ModelSpec, make_device: DeviceMaker, tmp_path: Path) -> None:
    model = open_random(spec, make_device(), tmp_path)
    assert isinstance(model, WanModel)
    for steps in range(1, 8):
        experts = {model._expert(float(time), 1.0)[0] for time in model._scheduler(steps, spec.tail).timesteps}
        assert sees_both_experts(spec, steps) == (len(experts) == spec.experts)
