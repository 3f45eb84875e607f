"""A plan is complete, the same for the same request, and says why it is what it is."""

import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import ANYFLOW_1_3B, CATALOG, LTX_2B
from pipeline.plan.chunks import SHARED_LATENTS
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.planner import DISK_RESERVE_BYTES
from pipeline.plan.request import Shot
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker, RequestMaker

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
        plan = plan_draft(request, make_device(256, kind), make_profile())
        read = json.loads(json.dumps(plan.to_json(), allow_nan=False))
        assert read == as_lists(plan.to_json())
        assert read["peak_bytes"] == plan.memory.peak_bytes
        assert read["memory"]["ram_bytes"] == plan.memory.ram_bytes
        assert read["memory"]["stage_bytes"] == {str(stage): need for stage, need in plan.memory.stage_bytes.items()}
        assert len(read["chunks"]) == len(plan.chunks)
        assert set(read["forecast"]["stage_seconds"]) == {str(stage) for stage in Stage}


def test_a_plan_survives_the_way_to_another_process(plan: DraftPlan) -> None:
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_a_plan_cannot_be_changed(plan: DraftPlan) -> None:
    with pytest.raises(FrozenInstanceError):
        plan.chunks = ()  # type: ignore[misc]


def test_the_same_request_gives_the_same_plan(make_plan: PlanMaker) -> None:
    assert make_plan(frames=97) == make_plan(frames=97)
    assert make_plan(frames=97) != make_plan(frames=105)


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_the_plan_makes_exactly_the_frames_that_were_asked_for(
    spec: ModelSpec, make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    card, profile = make_device(96, DeviceKind.CUDA, ram_gib=256.0), make_profile()
    for latents in range(2, spec.latents_of(spec.nearest_frames(60 * spec.fps)) + 1):
        request = make_request(model=spec.key, shape=spec.shapes[0], frames=spec.frames_of(latents))
        plan = plan_draft(request, card, profile)
        assert plan.latents == latents
        assert sum(chunk.new_latents for chunk in plan.chunks) == latents
        assert sum(piece.frames for piece in plan.slices) == request.frames


def test_a_draft_within_the_native_length_is_one_chunk_and_says_so(make_plan: PlanMaker) -> None:
    plan = make_plan(frames=49)
    assert len(plan.chunks) == 1
    assert any("no seams" in reason for reason in plan.reasons)


def test_a_longer_draft_says_how_its_chunks_continue(plan: DraftPlan) -> None:
    assert len(plan.chunks) == 3
    assert any("3 chunks" in reason and "last 17" in reason for reason in plan.reasons)


def test_a_draft_that_is_rolled_out_says_how_much_its_chunks_see(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=ANYFLOW_1_3B.key, shape=ANYFLOW_1_3B.shapes[0], frames=81, guidance=1.0)
    roomy, tight = (plan_draft(request, make_device(gib, DeviceKind.CUDA), make_profile()) for gib in (24, 3.5))
    assert len(roomy.chunks) == len(tight.chunks) == 7
    for plan, frames in ((roomy, 73), (tight, ANYFLOW_1_3B.frames_of(max(c.overlap for c in tight.chunks)))):
        assert f"7 chunks, each of which sees what was made before it, up to {frames} frames." in plan.reasons
    assert any("instead of more" in reason for reason in tight.reasons)
    full = make_device(24, DeviceKind.CUDA, disk_free_bytes=roomy.memory.disk_bytes + DISK_RESERVE_BYTES - 1)
    shorter = plan_draft(request, full, make_profile())
    assert max(chunk.latents for chunk in shorter.chunks) < 21
    assert any("drafts folder" in reason for reason in shorter.reasons)


def test_reasons_are_sentences_that_name_device_precision_and_largest_stage(plan: DraftPlan) -> None:
    assert all(reason.strip() == reason and reason.endswith(".") for reason in plan.reasons)
    text = " ".join(plan.reasons)
    largest = max(Stage, key=lambda stage: plan.memory.stage_bytes[stage])
    for word in (plan.memory.device.name, plan.memory.dtype, f"The {largest} stage is the largest"):
        assert word in text
    for choice in plan.memory.choices.values():
        assert choice.name.lower() in text.lower()


def test_a_small_budget_gives_shorter_chunks_and_the_reason(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(**LARGE | {"guidance": 1.0})
    ample = plan_draft(request, make_device(80, DeviceKind.CUDA), make_profile())
    tight = plan_draft(request, make_device(3, DeviceKind.CUDA), make_profile())
    assert len(tight.chunks) > len(ample.chunks)
    longest = max(c.latents for c in tight.chunks)
    assert longest < max(c.latents for c in ample.chunks)
    assert any("instead of more" in reason and "denoise stage" in reason for reason in tight.reasons)
    assert not any("instead of more" in reason for reason in ample.reasons)


def test_what_would_have_been_faster_says_why_it_was_not_taken(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plan = plan_draft(
        make_request(**LARGE | {"frames": 25}), make_device(6, DeviceKind.CUDA), make_profile(card_gib=5.5)
    )
    missed = [reason for reason in plan.reasons if reason.startswith("Not ")]
    assert any("text encoder in bfloat16 on the device" in reason for reason in missed)
    assert all("5.5 GiB are allowed" in reason for reason in missed if "on the card," in reason)
    ample = plan_draft(make_request(**LARGE | {"frames": 25}), make_device(80, DeviceKind.CUDA), make_profile())
    assert not any(reason.startswith("Not ") for reason in ample.reasons)


def test_a_short_draft_is_not_charged_for_a_long_chunk(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    device, profile = make_device(200, DeviceKind.CUDA), make_profile()
    short = plan_draft(make_request(**LARGE | {"frames": 9}), device, profile)
    long = plan_draft(make_request(**LARGE), device, profile)
    for stage in (Stage.DENOISE, Stage.DECODE):
        assert short.memory.stage_bytes[stage] < long.memory.stage_bytes[stage]


# (17, 1) and (9, 1) fail until `planner._workload` makes a decode window longer than the latents neighbours share.
@pytest.mark.parametrize(("chunk", "overlap"), [(25, None), (49, 1), (33, 9), (17, 1), (9, 1), (None, 17)])
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
    # A decode window reaches back into the chunk before, so the shortest chunks are decoded, too.
    assert max(piece.stop - piece.start for piece in plan.slices) > SHARED_LATENTS


def test_shots_share_the_timeline_by_their_seconds(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    shots = (Shot(prompt="a red ball rises", seconds=2.0), Shot(prompt="a blue star falls", seconds=6.0))
    plan = plan_draft(make_request(shots=shots, frames=193), make_device(), make_profile())
    first = [chunk for chunk in plan.chunks if chunk.shot == 0]
    assert [chunk.shot for chunk in plan.chunks] == [0] * len(first) + [1] * (len(plan.chunks) - len(first))
    assert first[-1].stop / plan.latents == pytest.approx(0.25, abs=0.15)


def test_guidance_of_one_runs_each_step_once(make_plan: PlanMaker) -> None:
    assert not make_plan(guidance=1.0).guided
    assert make_plan(guidance=1.5).guided


def test_the_need_is_the_largest_stage_and_not_the_sum(plan: DraftPlan) -> None:
    memory = plan.memory
    assert set(memory.stage_bytes) == set(Stage)
    assert memory.peak_bytes == max(memory.stage_bytes.values()) < sum(memory.stage_bytes.values())
    assert memory.ram_bytes == max(choice.ram_bytes for choice in memory.choices.values())
    assert memory.budget_bytes == memory.budget.card_bytes


def test_longer_drafts_and_larger_pictures_take_more_of_the_disk(make_plan: PlanMaker) -> None:
    small = make_plan().memory.disk_bytes
    assert small < make_plan(frames=97).memory.disk_bytes
    assert small < make_plan(shape=VideoShape(width=256, height=160)).memory.disk_bytes
