"""A forecast grows with the work, shrinks with the device's rates, and is corrected by what drafts took."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from pipeline.plan.catalog import ANYFLOW_1_3B, CATALOG, LTX_2B, LTX_13B, WAN_A14B
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import (
    BANDS,
    CARD_EFFICIENCY,
    OPEN_SECONDS,
    PASS_SECONDS,
    Closeness,
    Experience,
    no_experience,
    stage_seconds,
    visit_seconds,
)
from pipeline.plan.memory import Placement, Precision, Stage, Workload, weight_bytes
from pipeline.plan.placement import Choice, choices
from pipeline.plan.planner import decide
from pipeline.plan.rates import CARDS, UNKNOWN_CARD, Rates, guess_rates
from pipeline.plan.spec import ModelSpec
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker

RATES = Rates(operations_per_second=30e12, bus_bytes_per_second=12e9, disk_bytes_per_second=1e9, measured=True)
RATE_NAMES = ("operations_per_second", "bus_bytes_per_second", "disk_bytes_per_second")
FACTORS: Mapping[Stage, float] = {Stage.ENCODE: 2.0, Stage.DENOISE: 3.0, Stage.DECODE: 0.5}


def with_rate(name: str, value: float) -> Rates:
    changed: dict[str, Any] = {name: value}
    return replace(RATES, **changed)


class Forecasts:
    """Plans on one ample machine, whatever is asked."""

    def __init__(self, request: RequestMaker, device: Device, profile: ProfileMaker) -> None:
        self.request, self.device, self.profile = request, device, profile

    def plan(self, experience: Experience | None = None, **fields: Any) -> DraftPlan:
        """For a request that differs in `fields`."""
        return decide(self.request(**fields), self.device, self.profile(), experience)

    def seconds(self, rates: Rates | None = None, **fields: Any) -> float:
        """The whole draft."""
        return self.plan(no_experience(rates) if rates else None, **fields).forecast.total_seconds


@pytest.fixture
def forecasts(make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker) -> Forecasts:
    return Forecasts(make_request, make_device(16, DeviceKind.CUDA), make_profile)


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_more_steps_guidance_frames_and_pixels_take_longer(spec: ModelSpec, forecasts: Forecasts) -> None:
    asked: dict[str, Any] = {"model": spec.key, "shape": spec.shapes[0], "frames": spec.native_frames}

    def seconds(**fields: Any) -> float:
        return forecasts.seconds(**asked | fields)

    assert all(less < more for less, more in pairwise(seconds(steps=n) for n in (1, 2, 10, 40, 100)))
    assert seconds(guidance=1.0) < seconds(guidance=3.0) == seconds(guidance=7.0)
    lengths = {9, 49, spec.native_frames, 2 * spec.native_frames - 1, 10 * spec.native_frames - 9}
    assert all(less < more for less, more in pairwise(seconds(frames=n) for n in sorted(lengths)))
    small = replace(spec.shapes[1], width=spec.smallest_side_pixels, height=spec.smallest_side_pixels)
    assert seconds(shape=small) < seconds(shape=spec.shapes[1])


@pytest.mark.parametrize("rate", RATE_NAMES)
def test_a_device_that_is_slower_in_anything_takes_longer(rate: str, forecasts: Forecasts) -> None:
    slower = with_rate(rate, getattr(RATES, rate) / 2)
    asked: dict[str, Any] = {"model": LTX_2B.key, "shape": LTX_2B.shapes[0], "frames": 121}
    assert forecasts.seconds(RATES, **asked) < forecasts.seconds(slower, **asked)


def test_experience_scales_each_stage_and_keeps_the_formula(forecasts: Forecasts) -> None:
    plain = forecasts.plan(no_experience(RATES)).forecast
    taught = forecasts.plan(Experience(rates=RATES, factors=FACTORS, closeness=Closeness.SHAPE)).forecast
    assert taught.formula_seconds == plain.formula_seconds == plain.stage_seconds
    for stage in Stage:
        assert taught.stage_seconds[stage] == pytest.approx(FACTORS[stage] * plain.stage_seconds[stage])
    assert taught.total_seconds == pytest.approx(sum(taught.stage_seconds.values()))


def test_experience_corrects_the_first_slice_too(forecasts: Forecasts) -> None:
    plain = forecasts.plan(no_experience(RATES)).forecast
    twice = Experience(rates=RATES, factors=dict.fromkeys(Stage, 2.0), closeness=Closeness.MODEL)
    assert forecasts.plan(twice).forecast.first_slice_seconds == pytest.approx(2 * plain.first_slice_seconds)


@pytest.mark.parametrize("closeness", Closeness)
def test_the_band_is_that_of_what_the_forecast_rests_on(closeness: Closeness, forecasts: Forecasts) -> None:
    experience = Experience(rates=RATES, factors=dict.fromkeys(Stage, 1.0), closeness=closeness)
    forecast = forecasts.plan(experience).forecast
    assert forecast.closeness is closeness
    assert forecast.high_seconds / forecast.total_seconds == pytest.approx(BANDS[closeness])
    assert forecast.total_seconds / forecast.low_seconds == pytest.approx(BANDS[closeness])
    assert forecast.measured == (closeness in (Closeness.MODEL, Closeness.SHAPE))


def test_bands_narrow_with_what_is_known() -> None:
    bands = [BANDS[closeness] for closeness in Closeness]
    assert bands == sorted(bands, reverse=True)
    assert min(bands) > 1
    assert no_experience(RATES).closeness is Closeness.RATES
    assert no_experience(replace(RATES, measured=False)).closeness is Closeness.GUESSED


def test_the_first_slice_of_several_comes_before_the_whole_draft(forecasts: Forecasts) -> None:
    several = forecasts.plan(frames=193)
    assert len(several.slices) > 1
    assert 0 < several.forecast.first_slice_seconds < several.forecast.total_seconds
    only = forecasts.plan(frames=9)
    assert len(only.slices) == 1
    assert only.forecast.first_slice_seconds == pytest.approx(only.forecast.total_seconds)


def test_a_second_chunk_does_not_delay_the_first_slice(forecasts: Forecasts) -> None:
    """But for the length of the first chunk, which is its own."""
    one, four = (forecasts.plan(frames=49 + 32 * more) for more in (0, 3))
    assert [one.chunks[0].latents, four.chunks[0].latents] == [7, 7]
    assert four.forecast.first_slice_seconds == pytest.approx(one.forecast.first_slice_seconds)


def denoising(device: Device, precision: Precision, placement: Placement) -> tuple[Choice, Workload]:
    load = Workload(
        spec=LTX_13B,
        shape=LTX_13B.shapes[0],
        chunk_latents=13,
        guided=False,
        continued=False,
        window_latents=LTX_13B.decode_window_latents,
    )
    found = choices(Stage.DENOISE, load, device, lowest=Precision.INT4)
    return next(c for c in found if (c.precision, c.placement) == (precision, placement)), load


def test_what_is_loaded_anew_is_read_as_it_is_kept(make_device: DeviceMaker) -> None:
    """The first time it is made from what was published."""
    device = make_device(80, DeviceKind.CUDA)
    choice, load = denoising(device, Precision.INT4, Placement.VISITING)
    rates, published, kept = (
        guess_rates(device),
        *(weight_bytes(LTX_13B.transformer, precision) for precision in (Precision.BFLOAT16, Precision.INT4)),
    )
    first, again = (visit_seconds(choice, load, rates, device, first=first) for first in (True, False))
    moving = kept / rates.bus_bytes_per_second
    assert first == pytest.approx(OPEN_SECONDS + published / rates.disk_bytes_per_second + moving)
    assert again == pytest.approx(kept / rates.disk_bytes_per_second + moving)


def test_a_causal_model_is_charged_for_each_step_of_a_block_and_for_reading_what_was_before(
    make_device: DeviceMaker,
) -> None:
    """A chunk of a block of three and one of two latents, given four: two readings, of 4 and of 7 latents."""
    card, steps = make_device(80, DeviceKind.CUDA), 4
    network = ANYFLOW_1_3B.transformer
    load = Workload(
        spec=ANYFLOW_1_3B,
        shape=ANYFLOW_1_3B.shapes[0],  # 1560 tokens a latent
        chunk_latents=9,
        blocks=(3, 2),
        guided=False,
        continued=True,
        window_latents=4,
    )
    plain = next(c for c in choices(Stage.DENOISE, load, card, lowest=Precision.BFLOAT16))
    latent = 1560
    read = [[latent, 3 * latent], [latent // 4, 3 * latent, 3 * latent]]
    operations = [
        *(network.operations(sum(r), sum(n * sum(r[: i + 1]) for i, n in enumerate(r))) for r in read),
        *steps * [network.operations(3 * latent, 3 * latent * (3 * latent + sum(read[0])))],
        *steps * [network.operations(2 * latent, 2 * latent * (2 * latent + sum(read[1])))],
    ]
    expected = sum(PASS_SECONDS + n / (CARD_EFFICIENCY * RATES.operations_per_second) for n in operations)
    assert stage_seconds(plain, load, RATES, card, steps=steps) == pytest.approx(expected)
    guided = stage_seconds(plain, replace(load, guided=True), RATES, card, steps=steps)
    assert guided == pytest.approx(2 * expected)


def test_a_causal_model_s_first_slice_comes_long_before_the_whole_draft(forecasts: Forecasts) -> None:
    asked = {"shape": ANYFLOW_1_3B.shapes[0], "frames": 81, "guidance": 1.0, "steps": 4}
    early, late = (forecasts.plan(model=spec.key, **asked).forecast for spec in (ANYFLOW_1_3B, WAN_A14B))
    assert early.first_slice_seconds < 0.35 * early.total_seconds
    assert late.first_slice_seconds > 0.7 * late.total_seconds


def test_streaming_takes_as_long_as_the_bus_or_the_product_whichever_is_longer(make_device: DeviceMaker) -> None:
    card = make_device(8, DeviceKind.CUDA)
    choice, load = denoising(card, Precision.BFLOAT16, Placement.STREAMED)

    def seconds(bus: float) -> float:
        return stage_seconds(choice, load, replace(RATES, bus_bytes_per_second=bus), card, steps=1)

    crossing = choice.moved_bytes / (seconds(1e15) - PASS_SECONDS)  # the rate at which both take as long
    assert seconds(crossing * 2) == seconds(crossing * 1000) == seconds(1e15)
    for slow in (crossing / 2, crossing / 10):
        assert seconds(slow) == pytest.approx(PASS_SECONDS + choice.moved_bytes / slow)


def test_weights_that_stay_do_not_wait_for_the_bus(make_device: DeviceMaker) -> None:
    card = make_device(80, DeviceKind.CUDA)
    choice, load = denoising(card, Precision.INT8, Placement.VISITING)
    slow = replace(RATES, bus_bytes_per_second=1e7)
    assert stage_seconds(choice, load, slow, card, steps=9) == stage_seconds(choice, load, RATES, card, steps=9)


def test_guidance_in_one_batch_shares_a_trip_of_the_weights(make_device: DeviceMaker) -> None:
    card = make_device(8, DeviceKind.CUDA)
    choice, load = denoising(card, Precision.BFLOAT16, Placement.STREAMED)
    slow = replace(RATES, bus_bytes_per_second=1e8)
    alone, guided = (stage_seconds(choice, replace(load, guided=g), slow, card, steps=5) for g in (False, True))
    assert guided == alone
    apart = replace(load, guided=True, spec=replace(LTX_13B, batched_guidance=False))
    assert stage_seconds(choice, apart, slow, card, steps=5) == pytest.approx(2 * alone)


# "T400" fails until `guess_rates` compares whole words: a T400 is no T4.
@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("NVIDIA GeForce RTX 3060", CARDS["RTX 3060"]),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", CARDS["RTX 3060"]),
        ("NVIDIA GeForce RTX 4070 Ti", CARDS["RTX 4070 Ti"]),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", CARDS["RTX 4070 Ti SUPER"]),
        ("NVIDIA GeForce RTX 4070", CARDS["RTX 4070"]),
        ("NVIDIA H200", CARDS["H200"]),
        ("NVIDIA GH200 480GB", CARDS["H200"]),
        ("NVIDIA H20", CARDS["H20"]),
        ("NVIDIA H100 80GB HBM3", CARDS["H100"]),
        ("NVIDIA H100 PCIe", CARDS["H100 PCIe"]),
        ("NVIDIA A100-SXM4-40GB", CARDS["A100"]),
        ("Tesla T4", CARDS["T4"]),
        ("NVIDIA T400 4GB", UNKNOWN_CARD),
        ("Quadro P1000", UNKNOWN_CARD),
        ("", UNKNOWN_CARD),
    ],
)
def test_a_card_s_rate_is_guessed_from_its_name(name: str, rate: float, make_device: DeviceMaker) -> None:
    guess = guess_rates(make_device(8, DeviceKind.CUDA, name=name))
    assert guess.operations_per_second == rate
    assert not guess.measured
    assert guess.sane


def test_every_known_card_is_found_by_its_own_name(make_device: DeviceMaker) -> None:
    for name, rate in CARDS.items():
        assert guess_rates(make_device(8, DeviceKind.CUDA, name=f"NVIDIA {name}")).operations_per_second == rate, name


# What the whitepapers print, float32 accumulation, no sparsity; the RTX 4080's is in llm.c's llmc/mfu.h.
@pytest.mark.parametrize(
    ("name", "teraflops"),
    [("RTX 2080 Ti", 53.8), ("RTX 3090", 71.0), ("RTX 4090", 165.2), ("RTX 4080", 97.5), ("RTX 5090", 209.5)],
)
def test_a_geforce_card_s_multiprocessors_and_clock_give_the_rate_that_is_printed(name: str, teraflops: float) -> None:
    assert CARDS[name] == pytest.approx(teraflops * 1e12, rel=0.003)


# NVIDIA advertises 4-bit operations with sparsity, sixteen times the 16-bit ones with float32 accumulation.
@pytest.mark.parametrize(
    ("name", "advertised"),
    [("RTX 5090", 3352), ("RTX 5080", 1801), ("RTX 5070 Ti", 1406), ("RTX 5070", 988), ("RTX 5060 Ti", 759.4)],
)
def test_a_blackwell_card_s_rate_is_a_sixteenth_of_the_one_that_is_advertised(name: str, advertised: float) -> None:
    assert CARDS[name] == pytest.approx(advertised * 1e12 / 16, rel=0.003)


def test_a_processor_is_as_fast_as_it_has_cores_and_slower_than_any_card(make_device: DeviceMaker) -> None:
    two, eight = (guess_rates(make_device(cores=cores)).operations_per_second for cores in (2, 8))
    assert eight == 4 * two
    assert guess_rates(make_device(cores=64)).operations_per_second < min(CARDS.values())
    assert guess_rates(make_device(kind=DeviceKind.MPS)).sane


@pytest.mark.parametrize("value", [0.0, -1e12, 1.0, 1e18, float("nan"), float("inf")])
@pytest.mark.parametrize("rate", RATE_NAMES)
def test_rates_that_no_machine_has_are_not_sane(rate: str, value: float) -> None:
    assert RATES.sane
    assert not with_rate(rate, value).sane
