"""A plan is complete, the same for the same request, and says why it is what it is."""

import json
import pickle
from typing import Any

import pytest

from pipeline.errors import DoesNotFit
from pipeline.plan.catalog import CATALOG, LTX_2B, Component, ModelSpec, VideoShape
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan, plan_draft
from pipeline.plan.memory import Stage
from pipeline.plan.request import Shot
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker

GIB = 2**30
LARGE: dict[str, Any] = {"model": LTX_2B.key, "shape": VideoShape(width=1280, height=1280), "frames": 241}


@pytest.fixture
def plan(make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker) -> DraftPlan:
    return plan_draft(make_request(), make_device(), make_profile())


def as_lists(value: object) -> object:
    """A value as JSON gives it back: tuples are lists."""
    if isinstance(value, dict):
        return {str(key): as_lists(item) for key, item in value.items()}
    return [as_lists(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
@pytest.mark.parametrize("kind", DeviceKind)
def test_json_gives_back_every_value_of_a_plan(
    spec: ModelSpec,
    kind: DeviceKind,
    make_request: RequestMaker,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
) -> None:
    for frames in (9, 97, 241):
        request = make_request(model=spec.key, shape=spec.shapes[0], frames=frames, prompt='a "red" 球\nfalls')
        plan = plan_draft(request, make_device(64, kind), make_profile())
        written = json.dumps(plan.to_json(), allow_nan=False)
        assert json.loads(written) == as_lists(plan.to_json())
        assert json.loads(written)["peak_bytes"] == plan.memory.peak_bytes
        assert len(json.loads(written)["chunks"]) == len(plan.chunks)


def test_a_plan_survives_the_way_to_another_process(plan: DraftPlan) -> None:
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_the_same_request_gives_the_same_plan(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plans = [plan_draft(make_request(), make_device(), make_profile()) for _ in range(3)]
    assert plans[0] == plans[1] == plans[2]


def test_the_plan_makes_exactly_the_frames_that_were_asked_for(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    for frames in range(9, 1442, 8):
        plan = plan_draft(make_request(frames=frames), make_device(), make_profile())
        assert plan.spec.frames_of(plan.latents) == frames
        assert sum(piece.frames for piece in plan.slices) == frames


def test_a_draft_within_the_native_length_is_one_chunk_and_says_so(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plan = plan_draft(make_request(frames=49), make_device(), make_profile())
    assert len(plan.chunks) == 1
    assert any("no seams" in reason for reason in plan.reasons)


def test_a_longer_draft_says_how_its_chunks_continue(plan: DraftPlan) -> None:
    assert len(plan.chunks) == 3
    assert any("3 chunks" in reason and "last 17" in reason for reason in plan.reasons)


def test_reasons_are_sentences_that_name_device_precision_and_largest_stage(plan: DraftPlan) -> None:
    assert all(reason.strip() == reason and reason.endswith(".") for reason in plan.reasons)
    text = " ".join(plan.reasons)
    largest = max(Stage, key=lambda stage: plan.memory.stage_bytes[stage])
    for word in (plan.memory.device.name, plan.memory.dtype, f"The {largest} stage is the largest"):
        assert word in text


def test_a_small_budget_gives_shorter_chunks_and_the_reason(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    """A byte less than decoding a whole window of a large picture needs: shorter chunks make shorter windows."""
    request = make_request(**LARGE)
    ample = plan_draft(request, make_device(200, DeviceKind.CUDA), make_profile())
    decode = ample.memory.stage_bytes[Stage.DECODE]
    tight = plan_draft(request, make_device(kind=DeviceKind.CUDA, free_bytes=decode - 1), make_profile())
    assert len(tight.chunks) > len(ample.chunks)
    assert max(c.latents for c in tight.chunks) < max(c.latents for c in ample.chunks)
    assert tight.memory.peak_bytes < decode
    assert any("instead of more" in reason and "decode stage" in reason for reason in tight.reasons)


def test_what_fits_in_no_way_is_refused_with_stage_and_numbers(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(make_request(**LARGE), make_device(4, DeviceKind.CUDA), make_profile())
    assert refusal.value.stage == Stage.ENCODE
    assert refusal.value.budget_bytes == 4 * GIB < refusal.value.need_bytes


def test_a_short_draft_is_not_charged_for_a_long_chunk(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    device, profile = make_device(200, DeviceKind.CUDA), make_profile()
    short = plan_draft(make_request(**LARGE | {"frames": 9}), device, profile)
    long = plan_draft(make_request(**LARGE), device, profile)
    for stage in (Stage.DENOISE, Stage.DECODE):
        assert short.memory.stage_bytes[stage] < long.memory.stage_bytes[stage]


@pytest.mark.parametrize(("chunk", "overlap"), [(25, None), (49, 1), (33, 9), (9, 1), (None, 17)])
def test_chunks_set_by_hand_are_kept(
    chunk: int | None,
    overlap: int | None,
    make_request: RequestMaker,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
) -> None:
    request = make_request(frames=193, chunk_frames=chunk, overlap_frames=overlap)
    plan = plan_draft(request, make_device(), make_profile())
    spec = plan.spec
    assert max(c.latents for c in plan.chunks) <= spec.latents_of(chunk or spec.native_frames)
    assert {c.overlap for c in plan.chunks[1:]} == {spec.latents_of(overlap or spec.overlap_frames)}


def test_shots_share_the_timeline_by_their_seconds(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    shots = (Shot(prompt="a red ball rises", seconds=2.0), Shot(prompt="a blue star falls", seconds=6.0))
    plan = plan_draft(make_request(shots=shots, frames=193), make_device(), make_profile())
    first = [chunk for chunk in plan.chunks if chunk.shot == 0]
    assert [chunk.shot for chunk in plan.chunks] == [0] * len(first) + [1] * (len(plan.chunks) - len(first))
    assert first[-1].stop / plan.latents == pytest.approx(0.25, abs=0.15)


def test_more_steps_and_guidance_take_longer(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    def seconds(**fields: Any) -> float:
        return plan_draft(make_request(**fields), make_device(), make_profile()).forecast.total_seconds

    assert seconds(steps=10) < seconds(steps=20)
    assert seconds(guidance=1.0) < seconds(guidance=3.0)
    assert seconds(frames=97) < seconds(frames=193)


def test_the_first_slice_is_forecast_before_the_whole_draft(plan: DraftPlan) -> None:
    forecast = plan.forecast
    assert 0 < forecast.first_slice_seconds < forecast.total_seconds
    assert forecast.low_seconds < forecast.total_seconds < forecast.high_seconds
    assert not forecast.measured


def test_guidance_of_one_runs_each_step_once(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    assert not plan_draft(make_request(guidance=1.0), make_device(), make_profile()).guided
    assert plan_draft(make_request(guidance=1.5), make_device(), make_profile()).guided


def test_a_profile_without_a_card_is_never_planned_on_one(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    with pytest.raises(ValueError, match="processor"):
        plan_draft(make_request(), make_device(kind=DeviceKind.CUDA), make_profile(use_card=False))


def test_the_encoder_alone_decides_whether_a_large_model_fits_a_small_card(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    """What one residency at a time buys: 12 GiB hold a model of 15 GiB of weights."""
    spec = LTX_2B
    weights = 2 * sum(spec.parameters.values())
    request = make_request(model=spec.key, shape=spec.shapes[0], frames=121)
    plan = plan_draft(request, make_device(12, DeviceKind.CUDA), make_profile())
    assert plan.memory.peak_bytes < 12 * GIB < weights
    assert plan.memory.peak_bytes == plan.memory.stage_bytes[Stage.ENCODE]
    assert plan.memory.peak_bytes > 2 * spec.parameters[Component.TEXT_ENCODER]
