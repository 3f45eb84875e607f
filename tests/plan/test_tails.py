"""What each way to go on from what came before costs, and what the plan says of it."""

import json
from dataclasses import replace

import pytest

from pipeline.plan.catalog import CATALOG, LTX_2B, LTX_13B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Precision, Stage, on_card
from pipeline.plan.planner import decide, workload
from pipeline.plan.retreat import retreat
from pipeline.plan.spec import ModelSpec, Tail
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker, RequestMaker


@pytest.fixture
def plan_of(make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker) -> PlanMaker:
    """A draft thrice as long as the model's own length, on a card of 80 GiB."""

    def make(spec: ModelSpec, tail: Tail | None, **fields: object) -> DraftPlan:
        size = {"model": spec.key, "shape": spec.shapes[0], "frames": 3 * spec.native_frames - 2}
        request = make_request(tail=tail, **size | fields)
        return decide(request, make_device(80, DeviceKind.CUDA), make_profile())

    return make


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_every_way_of_a_model_is_planned_and_kept_in_the_plan(spec: ModelSpec, plan_of: PlanMaker) -> None:
    assert len(set(spec.tails)) == len(spec.tails) > 0
    assert (Tail.CAUSAL in spec.tails) == (spec.tails == (Tail.CAUSAL,)) == (spec.block_latents is not None)
    for tail in spec.tails:
        plan = plan_of(spec, tail)
        again = DraftPlan.from_json(json.dumps(plan.to_json()))
        assert again == plan
        assert again.request.continued_by is tail
    assert plan_of(spec, None).request.continued_by is spec.tail


@pytest.mark.parametrize("spec", [MINIATURE, LTX_2B, WAN_5B], ids=lambda spec: spec.key)
def test_encoding_frames_again_is_counted_in_memory_and_time(spec: ModelSpec, plan_of: PlanMaker) -> None:
    latents, frames = plan_of(spec, Tail.LATENTS), plan_of(spec, Tail.FRAMES)
    assert frames.chunks == latents.chunks
    load, device = workload(frames.request, frames.chunks), frames.memory.device
    encoder = 2 * (spec.vae.parameters - spec.vae.decoder_parameters)
    live = spec.vae.encode_live_bytes(spec.shapes[0].pixels, frames.chunks[1].overlap)
    assert load.reencoding_bytes(device) == encoder + live
    assert workload(latents.request, latents.chunks).reencoding_bytes(device) == 0
    assert frames.memory.stage_bytes[Stage.DECODE] >= on_card(device, encoder + live)
    assert frames.memory.stage_bytes[Stage.DENOISE] == latents.memory.stage_bytes[Stage.DENOISE]
    assert frames.forecast.stage_seconds[Stage.DECODE] > latents.forecast.stage_seconds[Stage.DECODE]
    assert frames.forecast.first_slice_seconds == latents.forecast.first_slice_seconds
    (said,) = (reason for reason in frames.reasons if "encoded again" in reason)
    assert said not in latents.reasons


def test_a_card_too_small_for_the_encoder_s_whole_picture_gets_tiles(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    """What is decoded in tiles is encoded in tiles."""
    request = make_request(
        model=LTX_13B.key, shape=LTX_13B.shapes[0], frames=3 * LTX_13B.native_frames - 2, tail=Tail.FRAMES
    )
    load = workload(request, (decide(request, make_device(80, DeviceKind.CUDA), make_profile())).chunks)
    card = make_device(80, DeviceKind.CUDA)
    assert replace(load, tile_pixels=256).reencoding_bytes(card) < 0.8 * load.reencoding_bytes(card)


@pytest.mark.parametrize("spec", [MINIATURE, LTX_2B, WAN_5B], ids=lambda spec: spec.key)
def test_windows_together_take_one_s_memory_and_nothing_is_early(spec: ModelSpec, plan_of: PlanMaker) -> None:
    usual, together = plan_of(spec, spec.tail), plan_of(spec, Tail.CO_DENOISE)
    assert [len(plan.chunks) for plan in (usual, together)] == [4, 1]
    assert together.memory.stage_bytes[Stage.DENOISE] <= usual.memory.stage_bytes[Stage.DENOISE]
    ratio = together.forecast.stage_seconds[Stage.DENOISE] / usual.forecast.stage_seconds[Stage.DENOISE]
    assert 0.8 < ratio <= 1
    share = together.forecast.first_slice_seconds / together.forecast.total_seconds
    assert share > 0.8 > usual.forecast.first_slice_seconds / usual.forecast.total_seconds
    assert [seam.frame for seam in together.seams] == [seam.frame for seam in usual.seams]
    assert any("all of the draft is ready at once" in reason for reason in together.reasons)


def test_another_model_that_is_offered_goes_on_in_its_own_way(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    from pipeline.plan.alternatives import offer_changes

    request = make_request(model="wan-a14b", shape=CATALOG["wan-a14b"].shapes[0], frames=81, tail=Tail.REPAINT)
    lowest = replace(request, lowest_precision=Precision.INT4)
    changes = offer_changes(lowest, make_device(6, DeviceKind.CUDA, ram_gib=16), make_profile())
    (model,) = (change for change in changes if change.request.model != request.model)
    assert model.request.continued_by in model.request.spec.tails


@pytest.mark.parametrize("frames", [81, 193], ids=["one", "several"])
def test_windows_denoised_together_are_never_cut_into_chunks_where_memory_runs_out(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker, frames: int
) -> None:
    """They could not go on from one another; what else takes less is tried."""
    card, asked = make_device(48, DeviceKind.CUDA), {"model": WAN_A14B.key, "shape": WAN_A14B.shapes[0]}

    def lowest(tail: Tail) -> tuple[DraftPlan, DraftPlan]:
        plan = first = decide(make_request(frames=frames, tail=tail, **asked), card, make_profile())
        while lower := retreat(plan, Stage.DENOISE):
            plan = lower
        return first, plan

    first, last = lowest(Tail.CO_DENOISE)
    assert last.chunks == first.chunks
    assert last.memory.stage_bytes[Stage.DENOISE] < first.memory.stage_bytes[Stage.DENOISE]
    first, last = lowest(Tail.REPAINT)
    assert len(last.chunks) > len(first.chunks)
