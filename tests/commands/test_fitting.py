"""What fits where: each model in a few sizes, planned as a person's request would be, in a table that can be read."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

import pipeline
from pipeline.commands.fitting import Fit, ModelFinding, say_models, try_model
from pipeline.plan.alternatives import ChangeKind, plan_draft
from pipeline.plan.catalog import CATALOG, LTX_2B, LTX_13B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.duration import Experience, no_experience
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.presets import find_profile
from pipeline.plan.rates import guess_rates
from pipeline.plan.request import GenerationRequest, frames_for
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import DeviceMaker

AUTO = find_profile("auto")
WIDEST_COLUMNS = 120
MACHINES = [
    (0, 4),
    (0, 24),
    (0, 256),
    (2, 16),
    (4, 16),
    (8, 64),
    (12, 32),
    (24, 64),
    (80, 256),
]  # GiB: card, main memory
ALL_NAMES = ["small", "its own", "large", "long"]


def experience_on(device: Device) -> Callable[[GenerationRequest], Experience]:
    return lambda _: no_experience(guess_rates(device))


def find(spec: ModelSpec, device: Device) -> ModelFinding:
    return try_model(spec, device, AUTO, experience_on(device))


@pytest.fixture(params=MACHINES, ids=lambda machine: f"{machine[0]}gb-{machine[1]}gb")
def device(request: pytest.FixtureRequest, make_device: DeviceMaker) -> Device:
    card, ram = request.param
    return make_device(card, DeviceKind.CUDA, ram_gib=ram) if card else make_device(ram)


def request_for(spec: ModelSpec, fit: Fit, *, lowest_precision: str = "int8") -> GenerationRequest:
    """What a person types to get a draft of the table."""
    return replace(
        pipeline.request("-", model=spec.key, seed=0),
        shape=VideoShape(width=fit.width, height=fit.height),
        frames=fit.frames,
        lowest_precision=lowest_precision,
    )


# Sizes --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_each_model_is_tried_small_as_it_is_large_and_long(spec: ModelSpec, make_device: DeviceMaker) -> None:
    found = find(spec, make_device(200, DeviceKind.CUDA, ram_gib=512.0))
    drafts = {draft.name: draft.fit for draft in found.drafts}
    own = pipeline.request("-", model=spec.key, seed=0)
    assert list(drafts) == [name for name in ALL_NAMES if name in drafts]
    assert {*ALL_NAMES} - {"large"} <= {*drafts}
    fit = drafts["its own"]
    assert (fit.width, fit.height, fit.frames) == (own.shape.width, own.shape.height, own.frames)
    assert drafts["small"].width * drafts["small"].height < 0.7 * own.shape.pixels
    assert drafts["small"].frames < 0.6 * own.frames
    assert drafts["long"].length_seconds == pytest.approx(2 * own.seconds, rel=0.1)
    assert (drafts["long"].width, drafts["long"].height) == (fit.width, fit.height)
    assert found.steps == own.steps


def test_a_picture_that_is_a_models_largest_is_tried_once(make_device: DeviceMaker) -> None:
    device = make_device(200, DeviceKind.CUDA, ram_gib=512.0)
    assert [draft.name for draft in find(WAN_5B, device).drafts] == ["small", "its own", "long"]
    large = find(MINIATURE, device).drafts[2]
    assert (large.name, large.width) == ("large", MINIATURE.largest_side_pixels)


@pytest.mark.parametrize("spec", [MINIATURE, LTX_2B, WAN_5B, WAN_A14B], ids=lambda spec: spec.key)
@pytest.mark.parametrize("scale", [0.05, 0.3, 0.7, 1.0, 1.5, 40.0])
def test_a_scaled_shape_is_legal_and_keeps_its_proportions(spec: ModelSpec, scale: float) -> None:
    for shape in spec.shapes:
        scaled = spec.scaled(shape, scale)
        replace(pipeline.request("-", model=spec.key), shape=scaled)  # refuses what is not
        least = spec.smallest_side_pixels
        if least < min(scaled.width, scaled.height):
            assert scaled.width / scaled.height == pytest.approx(shape.width / shape.height, rel=0.2)
        assert spec.scaled(shape, 1.0) == shape


# What is said of them -----------------------------------------------------------------------------------------------
def test_every_line_is_what_that_request_is_planned_with(device: Device) -> None:
    for spec in CATALOG.values():
        for draft in find(spec, device).drafts:
            for fit in filter(None, (draft.fit, draft.nearest)):
                lowest = "int4" if fit.precision is Precision.INT4 else "int8"
                asked = request_for(spec, fit, lowest_precision=lowest)
                plan = plan_draft(asked, device, AUTO, experience_on(device)(asked))
                choice = plan.memory.choices[Stage.DENOISE]
                assert (fit.precision, fit.placement) == (choice.precision, choice.placement)
                assert (fit.peak_bytes, fit.ram_bytes) == (plan.memory.peak_bytes, plan.memory.ram_bytes)
                assert fit.chunks == len(plan.chunks)
                assert (fit.low_seconds, fit.high_seconds) == (plan.forecast.low_seconds, plan.forecast.high_seconds)
                assert frames_for(spec, round(fit.length_seconds, 1)) == fit.frames  # as the table says it
            assert bool(draft.missing) == (draft.fit is None)
            assert draft.fit is None or draft.nearest is None


def test_what_does_not_fit_is_followed_by_the_nearest_of_the_same_model(make_device: DeviceMaker) -> None:
    device = make_device(3.2, DeviceKind.CUDA, ram_gib=16.0)
    found = find(LTX_13B, device)
    (large,) = [draft for draft in found.drafts if draft.name == "large"]
    assert large.fit is None
    assert large.nearest.frames < frames_for(LTX_13B, large.length_seconds)
    assert (large.nearest.width, large.nearest.height) == (large.width, large.height)  # length is the least loss
    lines = say_models((found,), device)
    (place,) = [number for number, line in enumerate(lines) if "does not fit" in line]
    assert lines[place].endswith(f"does not fit: {large.missing}")
    assert re.fullmatch(r"denoise needs [\d.]+ GiB of the card, [\d.]+ GiB are allowed", large.missing)
    assert lines[place + 1].startswith("      nearest  1152x768  ")
    assert "fp8 streamed from main memory" in lines[place + 1]


def test_a_model_of_which_nothing_fits_takes_one_line(make_device: DeviceMaker) -> None:
    device = make_device(4, DeviceKind.CUDA, ram_gib=16.0)
    found = find(WAN_A14B, device)
    assert not found.fits
    title, said = say_models((found,), device)[2:]
    assert title.startswith(f"  {WAN_A14B.title}, 40 steps; 64.0 GiB to get: python -m pipeline download wan-a14b")
    assert re.fullmatch(r" {4}none fits: denoise needs [\d.]+ GiB of main memory, 15.0 GiB are allowed", said)


def test_another_model_is_never_the_nearest(device: Device) -> None:
    """Where only another model fits, this one does not."""
    for spec in CATALOG.values():
        for draft in find(spec, device).drafts:
            if draft.fit is None and draft.nearest is None:
                asked = replace(
                    pipeline.request("-", model=spec.key, seed=0),
                    shape=VideoShape(width=draft.width, height=draft.height),
                    frames=frames_for(spec, draft.length_seconds),
                )
                with pytest.raises(pipeline.DraftError) as refusal:
                    plan_draft(asked, device, AUTO)
                assert {change.kind for change in refusal.value.changes} <= {ChangeKind.MODEL}


def test_precision_and_placement_are_said_in_words(make_device: DeviceMaker) -> None:
    card = make_device(8, DeviceKind.CUDA, ram_gib=64.0)
    found = find(WAN_5B, card)
    fits = [draft.fit for draft in found.drafts]
    held = {(fit.precision, fit.placement) for fit in fits}
    assert held == {(Precision.FP8, Placement.VISITING), (Precision.BFLOAT16, Placement.STREAMED)}
    text = "\n".join(say_models((found,), card))
    assert "fp8 on the card  " in text
    assert "bfloat16 streamed from main memory  " in text
    host = make_device(64)
    table = say_models((find(WAN_5B, host),), host)
    assert "float32 in main memory  " in table[3]
    assert "peak card" in say_models((found,), card)[0]
    assert "peak card" not in table[0]


def test_the_table_can_be_read_on_any_machine(device: Device) -> None:
    models = tuple(find(spec, device) for spec in CATALOG.values())
    lines = say_models(models, device)
    assert max(map(len, lines)) <= WIDEST_COLUMNS
    assert len(lines) < 60
    rows = [line for line in lines if re.search(r" to [\d.]+ (s|min|h)$", line)]
    assert rows
    where = lines[0].index("takes")
    assert {line[where - 2 : where] for line in rows} <= {"  "}  # every cell begins under its heading
    for spec in CATALOG.values():
        assert sum(line.startswith(f"  {spec.title}, {spec.default_steps} steps; ") for line in lines) == 1
