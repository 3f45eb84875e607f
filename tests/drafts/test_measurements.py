"""What was measured is found again by the drafts it fits, corrected for rates that changed since."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.drafts.measurements import Measurements
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.device import Device, DeviceKind, suppose_card
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import Closeness, no_experience
from pipeline.plan.memory import Stage
from pipeline.plan.placement import Placement
from pipeline.plan.rates import Rates, guess_rates
from pipeline.plan.spec import VideoShape
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker

MEASURED = Rates(
    operations_per_second=1.5e11, bus_bytes_per_second=2e10, disk_bytes_per_second=2.5e9, measured=True
)  # a fast pair of cores
Planner = Callable[..., DraftPlan]


@pytest.fixture
def device(make_device: DeviceMaker) -> Device:
    return make_device(gib=16.0)


@pytest.fixture
def plan_of(make_request: RequestMaker, make_profile: ProfileMaker, device: Device) -> Planner:
    """A plan with whatever should differ in the request, on `on`."""

    def plan(on: Device = device, **fields: Any) -> DraftPlan:
        return plan_draft(make_request(**fields), on, make_profile())

    return plan


@pytest.fixture
def kept(tmp_path: Path) -> Measurements:
    return Measurements(tmp_path / "drafts")


def took(plan: DraftPlan, factor: float | Mapping[Stage, float]) -> dict[Stage, float]:
    """Seconds a stage, `factor` times what the formula said."""
    factors = dict.fromkeys(Stage, factor) if isinstance(factor, float) else factor
    return {stage: factors[stage] * seconds for stage, seconds in plan.forecast.formula_seconds.items()}


def rows(kept: Measurements) -> list[dict[str, Any]]:
    return [json.loads(line) for line in kept.path.read_bytes().splitlines()]


# Memory -------------------------------------------------------------------------------------------------------------
def test_what_ran_out_of_memory_counts_for_the_same_model_and_size_here_while_no_more_is_free(
    kept: Measurements, plan_of: Planner, device: Device
) -> None:
    plan = plan_of()
    kept.record_ran_out(plan, {Stage.DECODE: 900, Stage.DENOISE: 500})
    kept.record_ran_out(plan, {Stage.DECODE: 700})
    assert kept.experience(plan.request, device).too_much_bytes == {Stage.DECODE: 700, Stage.DENOISE: 500}
    assert kept.experience(replace(plan.request, seed=8), device).too_much_bytes
    shape = VideoShape(width=plan.request.shape.width + 32, height=plan.request.shape.height)
    assert not kept.experience(replace(plan.request, shape=shape), device).too_much_bytes
    for changes in ({"name": "another"}, {"free_bytes": 2 * device.free_bytes}, {"supposed": True}):
        assert not kept.experience(plan.request, replace(device, **changes)).too_much_bytes
    assert kept.experience(plan.request, replace(device, free_bytes=device.free_bytes // 2)).too_much_bytes


@pytest.mark.parametrize("torn", ['{"kind": "ran out"}', '{"format": 1, "kind": "ran out", "stage": "nap"}'])
def test_a_torn_line_about_memory_is_left_out(kept: Measurements, plan_of: Planner, device: Device, torn: str) -> None:
    plan = plan_of()
    kept.record_ran_out(plan, {Stage.DECODE: 700})
    with kept.path.open("a", encoding="utf-8") as file:
        file.write(torn + "\n")
    assert kept.experience(plan.request, device).too_much_bytes == {Stage.DECODE: 700}


# Rates --------------------------------------------------------------------------------------------------------------
def test_without_any_measurement_rates_are_guessed_and_nothing_is_written(
    kept: Measurements, plan_of: Planner, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    assert kept.experience(plan_of().request, device) == no_experience(guess_rates(device))
    assert not kept.path.parent.exists()
    assert not caplog.records


def test_the_last_rates_measured_on_a_device_count(kept: Measurements, plan_of: Planner, device: Device) -> None:
    kept.record_rates(device, replace(MEASURED, operations_per_second=1e9))
    kept.record_rates(device, MEASURED)
    kept.record_rates(replace(device, name="another processor"), replace(MEASURED, operations_per_second=2e9))
    kept.record_rates(replace(device, kind=DeviceKind.MPS), replace(MEASURED, operations_per_second=3e9))
    experience = kept.experience(plan_of().request, device)
    assert experience == no_experience(MEASURED)
    assert experience.closeness is Closeness.RATES


@pytest.mark.parametrize("operations", [0.0, -1e12, 1e18, float("nan"), float("inf")], ids=str)
def test_rates_that_no_machine_has_are_not_kept(kept: Measurements, device: Device, operations: float) -> None:
    kept.record_rates(device, replace(MEASURED, operations_per_second=operations))
    assert not kept.path.exists()


def test_a_guess_is_not_kept_as_a_measurement(kept: Measurements, device: Device) -> None:
    kept.record_rates(device, guess_rates(device))
    assert not kept.path.exists()


def test_a_supposed_card_teaches_and_learns_nothing(kept: Measurements, plan_of: Planner) -> None:
    supposed = suppose_card(24)
    there = replace(supposed, supposed=False)
    plan = plan_of(there)
    kept.record_rates(there, MEASURED)
    kept.record_draft(plan, took(plan, 3.0), encoded=True)
    before = kept.path.read_bytes()
    kept.record_rates(supposed, MEASURED)
    kept.record_draft(plan_of(supposed), took(plan, 3.0), encoded=True)
    assert kept.path.read_bytes() == before
    assert kept.experience(plan.request, supposed) == no_experience(guess_rates(supposed))


# Drafts -------------------------------------------------------------------------------------------------------------
def test_the_same_shape_again_is_forecast_as_it_was_measured(
    kept: Measurements, plan_of: Planner, device: Device, make_profile: ProfileMaker
) -> None:
    plan = plan_of()
    factors = {Stage.ENCODE: 0.5, Stage.DENOISE: 2.0, Stage.DECODE: 3.0}
    kept.record_draft(plan, took(plan, factors), encoded=True)
    experience = kept.experience(plan_of(seed=8, prompt="something else").request, device)
    assert experience.factors == pytest.approx(factors)
    assert experience.closeness is Closeness.SHAPE
    again = plan_draft(plan.request, device, make_profile(), experience)
    assert again.forecast.total_seconds == pytest.approx(sum(took(plan, factors).values()))
    assert again.forecast.measured
    assert again.forecast.formula_seconds == plan.forecast.formula_seconds  # corrections do not pile up


@pytest.mark.parametrize(
    "other",
    [{"shape": VideoShape(width=192, height=192)}, {"frames": 49}, {"steps": 12}, {"guidance": 1.0}],
    ids=["shape", "frames", "steps", "unguided"],
)
def test_another_shape_of_the_same_model_learns_from_it_less_closely(
    kept: Measurements, plan_of: Planner, device: Device, other: dict[str, Any]
) -> None:
    plan = plan_of()
    kept.record_draft(plan, took(plan, 2.0), encoded=True)
    experience = kept.experience(plan_of(**other).request, device)
    assert experience.factors == pytest.approx(dict.fromkeys(Stage, 2.0))
    assert experience.closeness is Closeness.MODEL


def test_another_model_or_device_learns_nothing(
    kept: Measurements, plan_of: Planner, device: Device, make_device: DeviceMaker
) -> None:
    plan, card = plan_of(), make_device(24.0, DeviceKind.CUDA)
    kept.record_draft(plan, took(plan, 2.0), encoded=True)
    for request, on in (
        (plan.request, replace(device, name="another processor")),
        (plan.request, replace(card, name=device.name)),
        (plan_of(card, model="ltx-2b", shape=VideoShape(width=704, height=480), frames=121).request, device),
    ):
        assert kept.experience(request, on) == no_experience(guess_rates(on))


def test_one_disturbed_draft_moves_nothing_and_five_new_ones_replace_the_old(
    kept: Measurements, plan_of: Planner, device: Device
) -> None:
    plan = plan_of()
    for factor in (2.0, 2.1, 40.0, 1.9, 2.0):
        kept.record_draft(plan, took(plan, factor), encoded=True)
    assert kept.experience(plan.request, device).factors[Stage.DENOISE] == pytest.approx(2.0)
    for _ in range(5):
        kept.record_draft(plan, took(plan, 0.5), encoded=True)
    assert kept.experience(plan.request, device).factors[Stage.DENOISE] == pytest.approx(0.5)


def test_embeddings_from_the_cache_teach_nothing_about_encoding(
    kept: Measurements, plan_of: Planner, device: Device
) -> None:
    plan, other = plan_of(), plan_of(steps=12)
    kept.record_draft(other, took(other, 3.0), encoded=True)
    for _ in range(9):
        kept.record_draft(plan, took(plan, {Stage.ENCODE: 0.03, Stage.DENOISE: 2.0, Stage.DECODE: 2.0}), encoded=False)
    experience = kept.experience(plan.request, device)
    assert experience.factors == pytest.approx({Stage.ENCODE: 3.0, Stage.DENOISE: 2.0, Stage.DECODE: 2.0})
    assert experience.closeness is Closeness.SHAPE


@pytest.mark.parametrize("factor", [0.0, 0.019, 51.0, 1e9], ids=str)
def test_what_cannot_be_the_formula_s_work_is_left_out(
    kept: Measurements, plan_of: Planner, device: Device, factor: float
) -> None:
    plan = plan_of()
    kept.record_draft(plan, took(plan, 2.0), encoded=True)
    for _ in range(5):
        kept.record_draft(plan, took(plan, factor), encoded=True)
    assert kept.experience(plan.request, device).factors == pytest.approx(dict.fromkeys(Stage, 2.0))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")], ids=str)
def test_seconds_that_are_no_number_are_not_kept(
    kept: Measurements, plan_of: Planner, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        kept.record_draft(plan_of(), dict.fromkeys(Stage, seconds), encoded=True)
    assert not kept.path.exists()
    assert len(caplog.records) == 1


def test_a_line_says_what_was_made_and_not_what_it_shows(kept: Measurements, plan_of: Planner, device: Device) -> None:
    plan = plan_of(prompt="my secret")
    kept.record_draft(plan, took(plan, 2.0), encoded=True)
    (row,) = rows(kept)
    assert row["format"] == 1
    assert row["device"] == ["cpu", device.name]
    assert row["shape"] == [256, 160, 97, 20, True]
    assert row["choices"]["denoise"] == ["float32", "visiting"]
    assert row["formula_seconds"] == plan.forecast.formula_seconds
    assert row["forecast_seconds"] == plan.forecast.total_seconds
    assert row["total_seconds"] == pytest.approx(2 * sum(plan.forecast.formula_seconds.values()))
    assert time.strptime(row["date"], "%Y-%m-%dT%H:%M:%S%z")
    assert b"secret" not in kept.path.read_bytes()


# Rates that change between drafts -----------------------------------------------------------------------------------
def test_what_was_learnt_with_other_rates_is_scaled_to_the_present_ones(
    kept: Measurements, plan_of: Planner, device: Device, make_profile: ProfileMaker
) -> None:
    """The forecast stays near what was measured, whatever `doctor` finds afterwards."""
    plan = plan_of()
    measured = took(plan, 2.0)
    kept.record_draft(plan, measured, encoded=True)
    guess = guess_rates(device)
    faster = replace(guess, operations_per_second=1.5 * guess.operations_per_second, measured=True)
    kept.record_rates(device, faster)
    experience = kept.experience(plan.request, device)
    assert experience.rates == faster
    assert experience.factors == pytest.approx({Stage.ENCODE: 2.0, Stage.DENOISE: 3.0, Stage.DECODE: 3.0})
    again = plan_draft(plan.request, device, make_profile(), experience).forecast
    # Not the same: loading, and starting each pass, are a quarter of so small a model's seconds and do not scale.
    assert again.stage_seconds[Stage.DENOISE] == pytest.approx(measured[Stage.DENOISE], rel=0.15)


def test_encoding_is_unlearnt_when_the_disk_turns_out_another(
    kept: Measurements, plan_of: Planner, device: Device
) -> None:
    plan, guess = plan_of(), guess_rates(device)
    kept.record_draft(plan, took(plan, 2.0), encoded=True)
    for disk, factor in ((1.2e9, 2.0), (4e9, 1.0)):
        kept.record_rates(device, replace(guess, disk_bytes_per_second=disk, measured=True))
        experience = kept.experience(plan.request, device)
        assert experience.factors[Stage.ENCODE] == pytest.approx(factor)
        assert experience.closeness is Closeness.SHAPE


def test_streamed_denoising_is_unlearnt_when_the_bus_turns_out_another(
    kept: Measurements, plan_of: Planner, make_device: DeviceMaker
) -> None:
    small = make_device(8.0, DeviceKind.CUDA, ram_total_bytes=2**37, ram_free_bytes=2**37)
    wide = {"model": "ltx-13b", "shape": VideoShape(width=768, height=512), "frames": 121, "steps": 30}
    plan, guess = plan_of(small, **wide), guess_rates(small)
    assert plan.memory.choices[Stage.DENOISE].placement is Placement.STREAMED
    kept.record_draft(plan, took(plan, 2.0), encoded=True)
    assert kept.experience(plan.request, small).factors[Stage.DENOISE] == pytest.approx(2.0)
    kept.record_rates(small, replace(guess, bus_bytes_per_second=25e9, measured=True))
    experience = kept.experience(plan.request, small)
    assert experience.factors[Stage.DENOISE] == 1.0
    assert experience.closeness is Closeness.RATES
