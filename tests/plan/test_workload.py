"""What memory depends on besides weights: chunk, guidance, given latents, tiles; and what a card adds."""

from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.errors import say_bytes
from pipeline.plan.catalog import ANYFLOW_1_3B, CATALOG, LTX_2B, WAN_5B, WAN_A14B
from pipeline.plan.device import DeviceKind
from pipeline.plan.memory import (
    ALLOCATOR_SLACK,
    CARD_CONTEXT_BYTES,
    CARD_HOST_BYTES,
    TILE_OVERLAP_PIXELS,
    Stage,
    Workload,
    host_bytes,
    on_card,
)
from pipeline.plan.networks import CausalTransformer
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import DeviceMaker

GIB = 2**30


def load_of(spec: ModelSpec) -> Workload:
    return Workload(
        spec=spec,
        shape=spec.shapes[0],
        chunk_latents=spec.latents_of(spec.native_frames),
        guided=True,
        continued=False,
        window_latents=spec.decode_window_latents,
    )


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_longer_chunks_larger_pictures_and_longer_windows_hold_more(spec: ModelSpec, make_device: DeviceMaker) -> None:
    load, card = load_of(spec), make_device(kind=DeviceKind.CUDA)
    chunks = [replace(load, chunk_latents=n).live_bytes(Stage.DENOISE, card) for n in range(1, 32)]
    windows = [replace(load, window_latents=n).live_bytes(Stage.DECODE, card) for n in range(1, 32)]
    shapes = [VideoShape(width=side, height=side) for side in range(256, 1024, 32)]
    pictures = [replace(load, shape=shape).live_bytes(Stage.DECODE, card) for shape in shapes]
    for needs in (chunks, windows, pictures):
        assert all(0 < less < more for less, more in pairwise(needs))


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_guidance_holds_two_passes_only_where_they_run_together(spec: ModelSpec, make_device: DeviceMaker) -> None:
    card = make_device(kind=DeviceKind.CUDA)
    guided, alone = (replace(load_of(spec), guided=g).live_bytes(Stage.DENOISE, card) for g in (True, False))
    if isinstance(spec.transformer, CausalTransformer):  # what was read with each sentence stays
        read = sum(load_of(spec).rounds()[-1][1])
        assert guided == alone + spec.transformer.kept_bytes * read
    else:
        assert guided == (2 if spec.batched_guidance else 1) * alone


def test_a_causal_model_goes_through_a_chunk_block_by_block() -> None:
    """In tokens, 1560 a latent: the last two blocks whole, those before with a quarter."""
    shape = VideoShape(width=832, height=480)

    def rounds(chunk_latents: int, *blocks: int) -> list[tuple[int, tuple[int, ...]]]:
        load = replace(load_of(ANYFLOW_1_3B), shape=shape, chunk_latents=chunk_latents, blocks=blocks)
        return list(load.rounds())

    assert rounds(4, 1, 3) == [(1560, ()), (4680, (1560,))]
    assert rounds(7, 3) == [(4680, (1560, 4680))]
    assert rounds(10, 3) == [(4680, (390, 4680, 4680))]
    assert rounds(13, 3, 3) == [(4680, (390, 4680, 4680)), (4680, (390, 1170, 4680, 4680))]
    assert rounds(21, 2) == [(3120, (390, *[1170] * 4, 4680, 4680))]
    assert rounds(21) == rounds(21, 3)
    assert rounds(2) == [(3120, ())]


def test_given_latents_hold_more_only_where_each_token_has_its_own_timestep(make_device: DeviceMaker) -> None:
    card = make_device(kind=DeviceKind.CUDA)

    def more(spec: ModelSpec) -> float:
        first, next_one = (replace(load_of(spec), continued=c).live_bytes(Stage.DENOISE, card) for c in (False, True))
        return next_one / first

    assert more(LTX_2B) > 1.5
    assert more(WAN_5B) > 1.5
    assert more(WAN_A14B) == 1  # repainted after each step, never given


def test_decoding_does_not_depend_on_the_chunk_or_on_guidance(make_device: DeviceMaker) -> None:
    load, device = load_of(LTX_2B), make_device()
    other = replace(load, chunk_latents=3, guided=False, continued=True)
    assert other.live_bytes(Stage.DECODE, device) == load.live_bytes(Stage.DECODE, device)
    assert other.live_bytes(Stage.ENCODE, device) == load.live_bytes(Stage.ENCODE, device)


@pytest.mark.parametrize("tile", [256, 512])
def test_tiles_cover_the_picture_and_no_tile_is_larger_than_it(tile: int) -> None:
    for width in range(256, 1312, 32):
        for height in (256, 480, 512, 704, 1280):
            load = replace(load_of(LTX_2B), shape=VideoShape(width=width, height=height), tile_pixels=tile)
            counts = [tiles_along(side, tile) for side in (width, height)]
            assert load.tiles == counts[0] * counts[1]
            assert load.decode_pixels == min(tile, width) * min(tile, height)


def tiles_along(side: int, tile: int) -> int:
    """Counted by laying them."""
    count, reached = 1, tile
    while reached < side:
        count, reached = count + 1, reached + tile - TILE_OVERLAP_PIXELS
    return count


def test_a_whole_picture_is_one_tile() -> None:
    load = load_of(LTX_2B)
    assert (load.tiles, load.decode_pixels) == (1, load.shape.pixels)


def test_tiles_wait_for_their_picture_so_that_small_ones_hold_less_but_never_nothing(make_device: DeviceMaker) -> None:
    card = make_device(kind=DeviceKind.CUDA)
    for spec in (LTX_2B, WAN_5B, WAN_A14B):
        load = replace(load_of(spec), shape=VideoShape(width=1280, height=704))
        whole, tiles, small = (
            replace(load, tile_pixels=tile).live_bytes(Stage.DECODE, card) for tile in (None, 512, 256)
        )
        assert small < tiles < whole
        frames = spec.frames_of(load.window_latents) if not spec.causal_decoder else spec.frame_stride
        assert small > 2 * 2 * 3 * 1280 * 704 * frames


def test_a_card_adds_its_context_and_its_allocator_s_slack(make_device: DeviceMaker) -> None:
    card, host = make_device(kind=DeviceKind.CUDA), make_device()
    assert on_card(card, GIB) == int(GIB * ALLOCATOR_SLACK) + CARD_CONTEXT_BYTES
    assert on_card(host, GIB) == GIB
    assert host_bytes(card) == CARD_HOST_BYTES > host_bytes(host)


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 MiB"), (2**20, "1 MiB"), (GIB - 1, "1024 MiB"), (GIB, "1.0 GiB"), (int(9.14 * GIB), "9.1 GiB")],
)
def test_bytes_are_said_in_the_unit_a_person_reads(count: int, said: str) -> None:
    assert say_bytes(count) == said
