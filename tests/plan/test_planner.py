"""What fits where, what is left over for whom, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import DoesNotFit
from pipeline.plan.catalog import LTX_2B, LTX_13B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.combinations import NATIVE, PICTURE_COSTS, find_obstacle
from pipeline.plan.device import Device, DeviceKind, suppose_card
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage, weight_bytes
from pipeline.plan.planner import DISK_RESERVE_BYTES, budget_for, decide
from pipeline.plan.presets import VramProfile, find_profile
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker

GIB = 2**30
LARGE: dict[str, Any] = {"model": LTX_2B.key, "shape": VideoShape(width=1280, height=1280), "frames": 241}


def supposed(card_gib: float, ram_gib: float) -> Device:
    ram = int(ram_gib * GIB)
    return replace(suppose_card(card_gib), ram_total_bytes=ram, ram_free_bytes=ram, disk_free_bytes=100 * GIB)


TARGETS = [
    # What a person with such a machine must be able to draft, in one piece: no seams
    pytest.param(LTX_2B, (704, 480), 121, "4gb", 10, id="ltx-2b on 4 GB"),
    pytest.param(LTX_13B, (768, 512), 97, "8gb", 24, id="ltx-13b on 8 GB"),
    pytest.param(WAN_5B, (1280, 704), 121, "8gb", 24, id="wan-5b on 8 GB"),
    pytest.param(WAN_A14B, (832, 480), 81, "8gb", 32, id="wan-a14b on 8 GB"),
    pytest.param(WAN_A14B, (1280, 720), 81, "12gb", 32, id="wan-a14b, 720p, on 12 GB"),
]


@pytest.mark.parametrize(("spec", "size", "frames", "profile", "ram_gib"), TARGETS)
def test_a_large_model_fits_a_small_card(
    spec: ModelSpec, size: tuple[int, int], frames: int, profile: str, ram_gib: float, make_request: RequestMaker
) -> None:
    budget = find_profile(profile)
    assert budget.card_gib
    request = make_request(
        model=spec.key,
        shape=VideoShape(width=size[0], height=size[1]),
        frames=frames,
        guidance=spec.default_guidance,
        profile=profile,
    )
    plan = decide(request, supposed(budget.card_gib, ram_gib), budget)
    assert len(plan.chunks) == 1
    assert plan.memory.peak_bytes <= (budget.card_gib - budget.reserve_gib) * GIB
    assert plan.memory.ram_bytes <= (ram_gib - budget.ram_reserve_gib) * GIB
    weights = sum(weight_bytes(network, Precision.BFLOAT16) for network in spec.networks.values())
    assert plan.memory.peak_bytes < weights


BUDGETS = [
    # free on the card and in memory, the profile, the request's limits, what may be used of each
    pytest.param((24, 64), {}, {}, (24, 64), id="all that is free"),
    pytest.param((24, 64), {"reserve_gib": 1.0, "ram_reserve_gib": 2.0}, {}, (23, 62), id="less the reserves"),
    pytest.param((24, 64), {"card_gib": 8.0, "reserve_gib": 0.5}, {}, (8, 64), id="never more than the profile allows"),
    pytest.param((6, 64), {"card_gib": 8.0, "reserve_gib": 0.5}, {}, (5.5, 64), id="never more than is free"),
    pytest.param((24, 64), {"ram_gib": 16.0}, {}, (24, 16), id="main memory's limit is not the card's"),
    pytest.param((0.25, 1), {"reserve_gib": 0.5, "ram_reserve_gib": 2.0}, {}, (0, 0), id="never below nothing"),
    pytest.param((24, 64), {"card_gib": 8.0}, {"vram_limit_gib": 12.0}, (12, 64), id="the request's limit wins"),
    pytest.param((24, 64), {}, {"vram_limit_gib": 4096.0, "ram_limit_gib": 3.0}, (24, 3), id="and is no promise"),
]


@pytest.mark.parametrize(("free", "profile", "limits", "budget"), BUDGETS)
def test_the_budget_is_what_is_free_and_allowed(
    free: tuple[float, float],
    profile: dict[str, Any],
    limits: dict[str, Any],
    budget: tuple[float, float],
    make_request: RequestMaker,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
) -> None:
    card = make_device(free[0], DeviceKind.CUDA, ram_gib=free[1])
    found = budget_for(make_request(**limits), card, make_profile(**profile))
    assert (found.card_bytes, found.ram_bytes) == tuple(int(gib * GIB) for gib in budget)


def test_on_the_processor_main_memory_is_the_limit(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    budget = budget_for(make_request(), make_device(64), make_profile(card_gib=8.0, ram_gib=24.0, reserve_gib=4.0))
    assert budget.card_bytes == budget.ram_bytes == 24 * GIB


def test_a_disk_is_never_filled_to_the_brim(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    need = decide(make_request(), make_device(), make_profile()).memory.disk_bytes
    assert need > 0
    enough = make_device(disk_free_bytes=need + DISK_RESERVE_BYTES)
    assert decide(make_request(), enough, make_profile()).memory.budget.disk_bytes == need
    for free in (need + DISK_RESERVE_BYTES - 1, DISK_RESERVE_BYTES // 2, 0):
        with pytest.raises(DoesNotFit, match="disk") as refusal:
            decide(make_request(), replace(enough, disk_free_bytes=free), make_profile())
        assert (refusal.value.where, refusal.value.need_bytes) == ("disk", need)
        assert refusal.value.budget_bytes == max(0, free - DISK_RESERVE_BYTES)
        assert refusal.value.hint


def ample(plan: DraftPlan) -> bool:
    return all(choice.placement is Placement.VISITING for choice in plan.memory.choices.values())


def test_on_a_large_card_the_encoder_stays_beside_everything_else(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=LTX_2B.key, shape=LTX_2B.shapes[0], frames=121)
    kept = decide(request, make_device(80, DeviceKind.CUDA), make_profile())
    assert kept.memory.choices[Stage.ENCODE].placement is Placement.KEPT
    assert {choice.precision for choice in kept.memory.choices.values()} == {Precision.BFLOAT16}
    assert any("stays on the card" in reason for reason in kept.reasons)
    encoder = weight_bytes(LTX_2B.text_encoder, Precision.BFLOAT16)
    for stage, network in ((Stage.DENOISE, LTX_2B.transformer), (Stage.DECODE, LTX_2B.vae)):
        assert kept.memory.stage_bytes[stage] > encoder + weight_bytes(network, Precision.BFLOAT16)
    exact = make_device(kind=DeviceKind.CUDA, free_bytes=kept.memory.peak_bytes)
    assert decide(request, exact, make_profile()).memory == replace(
        kept.memory, device=exact, budget=replace(kept.memory.budget, card_bytes=kept.memory.peak_bytes)
    )
    less = decide(request, replace(exact, free_bytes=kept.memory.peak_bytes - 1), make_profile())
    assert ample(less)
    assert {choice.precision for choice in less.memory.choices.values()} == {Precision.BFLOAT16}
    assert any("one at a time" in reason for reason in less.reasons)


def test_an_encoder_that_is_streamed_and_one_on_the_processor_do_not_stay(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    here = decide(make_request(), make_device(64), make_profile())
    assert here.memory.choices[Stage.ENCODE].placement is Placement.VISITING
    request = make_request(model=LTX_2B.key, shape=LTX_2B.shapes[0], frames=121)
    small = decide(request, make_device(5, DeviceKind.CUDA), make_profile())
    assert small.memory.choices[Stage.ENCODE].placement is Placement.STREAMED


def test_guidance_runs_its_passes_apart_where_both_at_once_do_not_fit(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    """A batch of two computes as long as two passes do, and is live twice."""
    request = make_request(**LARGE)
    roomy, tight = (decide(request, make_device(gib, DeviceKind.CUDA), make_profile()) for gib in (80, 4))
    assert roomy.memory.choices[Stage.DENOISE].together
    assert not tight.memory.choices[Stage.DENOISE].together
    assert len(tight.chunks) == len(roomy.chunks)
    assert any("one after the other" in reason for reason in tight.reasons)
    unguided = decide(make_request(**LARGE | {"guidance": 1.0}), make_device(4, DeviceKind.CUDA), make_profile())
    assert unguided.memory.choices[Stage.DENOISE].together


def test_what_waits_leaves_for_the_text_encoder_only_where_both_do_not_fit(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=LTX_2B.key, shape=LTX_2B.shapes[0], frames=25)
    roomy, tight = (decide(request, make_device(gib), make_profile()) for gib in (64, 20))
    assert roomy.memory.choices[Stage.ENCODE].parked
    assert not tight.memory.choices[Stage.ENCODE].parked
    assert tight.memory.choices[Stage.DENOISE].parked


def test_a_plan_says_what_coarser_weights_cost_the_picture(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=LTX_13B.key, shape=LTX_13B.shapes[0], frames=121)
    for gib, coarse in ((80, False), (16, True)):
        plan = decide(request, make_device(gib, DeviceKind.CUDA), make_profile())
        precisions = {(choice.stage, choice.precision) for choice in plan.memory.choices.values()}
        told = [reason for reason in plan.reasons if reason.startswith("What ")]
        assert bool(told) is coarse
        assert len(told) == len(precisions & set(PICTURE_COSTS))


def test_each_legal_coarser_precision_has_a_measured_cost() -> None:
    coarse = [precision for precision in Precision if precision not in NATIVE]
    legal = {(s, p) for s in Stage for p in coarse if not find_obstacle(s, p, Placement.VISITING)}
    assert set(PICTURE_COSTS) == legal


def test_decoding_in_float32_is_counted_as_it_is(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    """Twice the weights, twice what is live, and longer; the other stages as before."""
    card = make_device(80, DeviceKind.CUDA)
    plain, exact = (decide(make_request(**LARGE, decode_float32=wide), card, make_profile()) for wide in (False, True))
    assert exact.memory.choices[Stage.DECODE].precision is Precision.FLOAT32
    assert exact.memory.stage_bytes[Stage.DENOISE] == plain.memory.stage_bytes[Stage.DENOISE]
    assert exact.memory.stage_bytes[Stage.DECODE] > 1.2 * plain.memory.stage_bytes[Stage.DECODE]
    assert exact.forecast.stage_seconds[Stage.DECODE] > 1.5 * plain.forecast.stage_seconds[Stage.DECODE]
    on_the_processor = decide(make_request(decode_float32=True), make_device(64), make_profile()).memory
    assert on_the_processor == decide(make_request(), make_device(64), make_profile()).memory


def test_the_vae_waits_where_the_transformer_does(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    for ram_gib, parked in ((64, True), (4, False)):
        card = make_device(24, DeviceKind.CUDA, ram_free_bytes=ram_gib * GIB)
        choices = decide(make_request(**LARGE), card, make_profile()).memory.choices
        assert [choices[stage].parked for stage in (Stage.DENOISE, Stage.DECODE)] == [parked, parked]


def test_what_fits_in_no_way_is_refused_with_stage_numbers_and_place(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    with pytest.raises(DoesNotFit) as refusal:
        decide(make_request(**LARGE), make_device(1, DeviceKind.CUDA), make_profile())
    assert refusal.value.stage == Stage.ENCODE
    assert refusal.value.where == "the card"
    assert refusal.value.budget_bytes == GIB < refusal.value.need_bytes
    with pytest.raises(DoesNotFit, match="main memory") as refusal:
        decide(make_request(**LARGE), make_device(24, DeviceKind.CUDA, ram_gib=1.0), make_profile())
    assert refusal.value.where == "main memory"
    with pytest.raises(DoesNotFit, match="main memory"):
        decide(make_request(**LARGE), make_device(2), make_profile())


def test_a_byte_less_than_the_least_is_refused(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request, profile = make_request(**LARGE), make_profile()
    with pytest.raises(DoesNotFit) as refusal:
        decide(request, make_device(1, DeviceKind.CUDA), profile)
    need = refusal.value.need_bytes
    for free in (need - 1, need):
        with pytest.raises(DoesNotFit) as refusal:  # the encoder fits by itself; the next stage is named
            decide(request, make_device(kind=DeviceKind.CUDA, free_bytes=free), profile)
        assert (refusal.value.stage == Stage.ENCODE) == (free < need)


def test_a_profile_without_a_card_is_never_planned_on_one(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    with pytest.raises(ValueError, match="processor"):
        decide(make_request(), make_device(kind=DeviceKind.CUDA), make_profile(use_card=False))


def test_the_miniature_fits_a_processor_with_a_gibibyte(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    for shape in MINIATURE.shapes:
        assert decide(make_request(shape=shape), make_device(1.0), make_profile()).memory.ram_bytes < GIB


@pytest.mark.parametrize("lowest", ["bfloat16", "int8", "int4"])
def test_weights_are_never_coarser_than_asked_for(lowest: str, make_request: RequestMaker) -> None:
    order = ["bfloat16", "fp8", "int8", "int4"]
    for card_gib in (6, 8, 12, 16, 24, 48, 80):
        request = make_request(model=WAN_A14B.key, shape=WAN_A14B.shapes[0], frames=81, lowest_precision=lowest)
        plan = decide(request, supposed(card_gib, 128), find_auto())
        for choice in plan.memory.choices.values():
            assert order.index(choice.precision) <= order.index(lowest)


def find_auto() -> VramProfile:
    return find_profile("auto")
