"""Every way to run a stage is offered where the device can do it, and one that does not fit says by how much."""

from dataclasses import replace

import pytest

from pipeline.plan.catalog import LTX_2B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.memory import Placement, Precision, Stage, Workload, block_bytes, host_bytes, weight_bytes
from pipeline.plan.placement import (
    SMALLEST_WINDOW_LATENTS,
    Budget,
    Choice,
    choices,
    fits,
    say_misfit,
)
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import DeviceMaker

GIB = 2**30


def load_of(spec: ModelSpec, shape: VideoShape | None = None) -> Workload:
    return Workload(
        spec=spec,
        shape=shape or spec.shapes[0],
        chunk_latents=spec.latents_of(spec.native_frames),
        guided=True,
        continued=False,
        window_latents=spec.decode_window_latents,
    )


def offered(
    stage: Stage, device: Device, *, spec: ModelSpec = LTX_2B, lowest: Precision = Precision.INT4
) -> list[Choice]:
    return list(choices(stage, load_of(spec), device, lowest=lowest))


def ways(options: list[Choice]) -> set[tuple[Precision, Placement]]:
    return {(choice.precision, choice.placement) for choice in options}


@pytest.fixture
def card(make_device: DeviceMaker) -> Device:
    return make_device(24, DeviceKind.CUDA)


PRECISIONS = [
    pytest.param((7, 5), "int4", {"float16", "fp8", "int8"}, id="an old card has no 4-bit product"),
    pytest.param((8, 0), "int4", {"bfloat16", "fp8", "int8", "int4"}, id="a newer one has"),
    pytest.param((12, 0), "int8", {"bfloat16", "fp8", "int8"}, id="never below what is allowed"),
    pytest.param((8, 9), "bfloat16", {"bfloat16"}, id="16 bits only, if so asked"),
    pytest.param((7, 5), "bfloat16", {"float16"}, id="16 bits only, on an old card"),
    pytest.param(None, "int4", {"float16", "fp8", "int8"}, id="a card that does not say is an old one"),
]


@pytest.mark.parametrize(("capability", "lowest", "precisions"), PRECISIONS)
def test_a_transformer_s_precisions_are_those_the_card_has_and_the_request_allows(
    capability: tuple[int, int] | None, lowest: str, precisions: set[str], make_device: DeviceMaker
) -> None:
    card = make_device(kind=DeviceKind.CUDA, compute_capability=capability)
    options = offered(Stage.DENOISE, card, lowest=Precision(lowest))
    assert {choice.precision for choice in options} == precisions


@pytest.mark.parametrize(("kind", "precision"), [(DeviceKind.CPU, "float32"), (DeviceKind.MPS, "float16")])
@pytest.mark.parametrize("stage", Stage)
def test_without_an_nvidia_card_there_is_one_precision_and_nothing_is_streamed(
    stage: Stage, kind: DeviceKind, precision: str, make_device: DeviceMaker
) -> None:
    options = offered(stage, make_device(kind=kind))
    assert ways(options) == {(precision, Placement.VISITING)}
    assert all(choice.moved_bytes == 0 and choice.card_bytes == choice.ram_bytes for choice in options)


def test_a_text_encoder_takes_eight_bits_or_streams_from_disk_but_never_four_or_fp8(card: Device) -> None:
    assert ways(offered(Stage.ENCODE, card)) == {
        (Precision.BFLOAT16, Placement.VISITING),
        (Precision.INT8, Placement.VISITING),
        (Precision.BFLOAT16, Placement.STREAMED),
    }


def test_whole_number_weights_are_never_streamed_through_a_transformer(card: Device) -> None:
    streamed = {p for p, placement in ways(offered(Stage.DENOISE, card)) if placement is Placement.STREAMED}
    assert streamed == {Precision.BFLOAT16, Precision.FP8}


@pytest.mark.parametrize("stage", [Stage.ENCODE, Stage.DENOISE])
def test_each_way_that_holds_less_is_slower(stage: Stage, card: Device) -> None:
    plain = next(c for c in offered(stage, card) if ways([c]) == {(Precision.BFLOAT16, Placement.VISITING)})
    for choice in offered(stage, card):
        if ways([choice]) != ways([plain]):
            assert choice.card_bytes < plain.card_bytes
            assert choice.slowdown > plain.slowdown


def test_what_moves_on_each_pass_is_what_is_not_on_the_card(card: Device) -> None:
    network = LTX_2B.transformer
    for choice in offered(Stage.DENOISE, card):
        waiting = (network.blocks - 2) * block_bytes(network, choice.precision)
        assert choice.moved_bytes == (waiting if choice.placement is Placement.STREAMED else 0)


@pytest.mark.parametrize("spec", [LTX_2B, WAN_5B, WAN_A14B], ids=lambda spec: spec.key)
def test_what_is_parked_for_the_next_chunk_waits_in_main_memory(spec: ModelSpec, card: Device) -> None:
    own, network = host_bytes(card), spec.transformer
    for choice in offered(Stage.DENOISE, card, spec=spec):
        whole = weight_bytes(network, choice.precision)
        if choice.parked:
            waiting = spec.experts * whole + weight_bytes(spec.vae, Precision.BFLOAT16)
        else:
            streamed = choice.placement is Placement.STREAMED
            waiting = whole if streamed else 2 * block_bytes(network, choice.precision)
        assert choice.ram_bytes == own + waiting + load_of(spec).sampler_bytes
        assert (", loaded anew for each chunk" in choice.name) != choice.parked


def test_what_is_laid_out_for_the_card_is_read_onto_it_and_never_waits_elsewhere(card: Device) -> None:
    parked = {(choice.precision, choice.parked) for choice in offered(Stage.DENOISE, card)}
    apart = {(precision, parks) for precision in ("bfloat16", "fp8", "int8") for parks in (True, False)}
    assert parked == apart | {(Precision.INT4, False)}


def test_an_encoder_that_is_streamed_waits_on_disk_and_looks_words_up_in_main_memory(card: Device) -> None:
    network = LTX_2B.text_encoder
    visiting, streamed = (
        next(c for c in offered(Stage.ENCODE, card) if ways([c]) == {(Precision.BFLOAT16, placement)})
        for placement in (Placement.VISITING, Placement.STREAMED)
    )
    words = 2 * 32128 * 4096
    assert streamed.ram_bytes - visiting.ram_bytes == pytest.approx(words, rel=0.01)
    assert streamed.card_bytes < visiting.card_bytes - 20 * block_bytes(network, Precision.BFLOAT16)


def test_on_the_processor_both_experts_and_the_decoder_share_main_memory(make_device: DeviceMaker) -> None:
    host = make_device(kind=DeviceKind.CPU)
    transformer, vae = (weight_bytes(n, Precision.FLOAT32) for n in (WAN_A14B.transformer, WAN_A14B.vae))
    denoise, *decode = (
        choice.ram_bytes for stage in (Stage.DENOISE, Stage.DECODE) for choice in offered(stage, host, spec=WAN_A14B)
    )
    assert denoise > 2 * transformer + vae
    assert min(decode) > 2 * transformer + vae


WINDOWS = [
    pytest.param(LTX_2B, (1280, 704), {8, SMALLEST_WINDOW_LATENTS}, {None, 512, 256}, id="a large picture"),
    pytest.param(LTX_2B, (480, 480), {8, SMALLEST_WINDOW_LATENTS}, {None, 256}, id="smaller than a tile"),
    pytest.param(MINIATURE, (256, 160), {8, SMALLEST_WINDOW_LATENTS}, {None}, id="smaller than any tile"),
    pytest.param(WAN_5B, (1280, 704), {6}, {None, 512, 256}, id="a causal decoder's windows are free"),
]


@pytest.mark.parametrize(("spec", "size", "windows", "tiles"), WINDOWS)
def test_a_decoder_works_on_tiles_smaller_than_the_picture_and_on_shorter_windows(
    spec: ModelSpec, size: tuple[int, int], windows: set[int], tiles: set[int | None], card: Device
) -> None:
    load = load_of(spec, VideoShape(width=size[0], height=size[1]))
    options = list(choices(Stage.DECODE, load, card, lowest=Precision.INT8))
    assert {(c.window_latents, c.tile_pixels) for c in options} == {(w, t) for w in windows for t in tiles}
    assert len(options) == len(windows) * len(tiles)


def test_a_chunk_shorter_than_the_smallest_window_is_decoded_at_once(card: Device) -> None:
    load = replace(load_of(LTX_2B), window_latents=3)
    assert {c.window_latents for c in choices(Stage.DECODE, load, card, lowest=Precision.INT8)} == {3}


def test_what_exactly_fits_is_accepted_and_a_byte_less_is_not(card: Device) -> None:
    for choice in (choice for stage in Stage for choice in offered(stage, card)):
        exact = Budget(card_bytes=choice.card_bytes, ram_bytes=choice.ram_bytes, disk_bytes=0)
        assert fits(choice, exact)
        assert not fits(choice, replace(exact, card_bytes=choice.card_bytes - 1))
        assert not fits(choice, replace(exact, ram_bytes=choice.ram_bytes - 1))


def test_a_misfit_names_the_way_what_is_too_small_the_need_and_the_budget(
    card: Device, make_device: DeviceMaker
) -> None:
    plain = offered(Stage.DENOISE, card)[0]
    need = replace(plain, card_bytes=9 * GIB, ram_bytes=40 * GIB)
    little_card = Budget(card_bytes=8 * GIB, ram_bytes=32 * GIB, disk_bytes=0)
    said = "Not the transformer in bfloat16 on the device: needs"
    assert say_misfit(need, little_card, card) == f"{said} 9.0 GiB on the card, 8.0 GiB are allowed."
    little_memory = replace(little_card, card_bytes=24 * GIB)
    assert say_misfit(need, little_memory, card) == f"{said} 40.0 GiB of main memory, 32.0 GiB are allowed."
    assert "needs 9.0 GiB of memory, 8.0" in say_misfit(need, little_card, make_device(kind=DeviceKind.CPU))


def test_every_way_has_a_name_of_its_own(card: Device) -> None:
    for stage in Stage:
        names = [choice.name for choice in offered(stage, card, spec=WAN_A14B)]
        assert len(set(names)) == len(names)
