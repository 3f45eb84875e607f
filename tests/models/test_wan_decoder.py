"""Wan's VAE as a stream: however a draft is cut into slices, its frames are those of one unbroken decode."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.models.base import Decoder
from pipeline.models.wan import WanModel
from pipeline.models.wan_decoder import Span, Stream
from pipeline.plan.memory import TILE_OVERLAP_PIXELS, Stage, Workload
from pipeline.plan.spec import Component, ModelSpec, VideoShape
from pipeline.video.pixels import to_pixels
from tests.conftest import DeviceMaker
from tests.tiny import choose, decode
from tests.tiny_wan import COLUMNS, ROWS, TINY_5B, TINY_A14B

pytestmark = pytest.mark.usefixtures("tiny_wan")

BOTH = pytest.mark.parametrize("spec", [TINY_5B, TINY_A14B], ids=lambda spec: spec.key)
CUTS = pytest.mark.parametrize("cuts", [(7,), (1, 6), (3, 1, 3), (1,) * 7], ids=str)


@pytest.fixture
def model(make_device: DeviceMaker, spec: ModelSpec) -> WanModel:
    return WanModel(spec, make_device())


def timeline(spec: ModelSpec, latents: int = 7, rows: int = ROWS, columns: int = COLUMNS) -> Tensor:
    size = 1, spec.latent_channels, latents, rows, columns
    return torch.randn(size, generator=torch.Generator().manual_seed(2))


def whole(model: WanModel, latents: Tensor, **tiling: int) -> Tensor:
    """Frames [3, F, H, W] as diffusers decodes a timeline at once."""
    vae: Any = model.checkpoint.load(Component.VAE, torch.float32)
    if tiling:
        vae.enable_tiling(**tiling)
    mean, std = (torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    with torch.no_grad():
        decoded: Tensor = vae.decode(latents * std + mean).sample[0]
    return decoded


@BOTH
@CUTS
def test_slices_decode_to_the_frames_of_the_whole_timeline(model: WanModel, cuts: tuple[int, ...]) -> None:
    latents = timeline(model.spec)
    expected = to_pixels(whole(model, latents))
    pieces = decode(model.open_decoder(), *latents.split(list(cuts), dim=2))
    assert [len(piece) for piece in pieces] == [4 * count - 3 * (n == 0) for n, count in enumerate(cuts)]
    made = np.concatenate(pieces)
    assert made.std() > 10
    different = made != expected
    assert different.mean() < 1e-4  # a value that lies between two levels may fall to either
    assert np.abs(made.astype(int) - expected).max() <= 1


@BOTH
def test_before_rounding_the_stream_differs_by_less_than_a_millionth(model: WanModel) -> None:
    vae: Any = model.checkpoint.load(Component.VAE, torch.float32)
    latents = timeline(model.spec)
    stream = Stream(Span(0, ROWS, ROWS), Span(0, COLUMNS, COLUMNS))
    with torch.no_grad():
        parts = [stream.decode(vae, latent).clamp(-1, 1) for latent in latents.split(1, dim=2)]
        expected = vae.decode(latents).sample[0]
    assert [part.shape[1] for part in parts] == [1] + [4] * 6
    assert (torch.cat(parts, dim=1) - expected).abs().max() < 1e-6


@BOTH
def test_a_draft_decodes_alike_whatever_was_decoded_before(model: WanModel) -> None:
    latents = timeline(model.spec)
    one, other = (model.open_decoder() for _ in range(2))
    decode(one, latents[:, :, :3])
    decode(other, -latents[:, :, :2])  # two drafts at once do not disturb each other either
    first = decode(one, latents[:, :, 3:])[0]
    assert (first == decode(model.open_decoder(), latents[:, :, :3], latents[:, :, 3:])[1]).all()


@BOTH
def test_frames_are_pictures(model: WanModel) -> None:
    frames = decode(model.open_decoder(), timeline(model.spec, latents=2))[0]
    side = model.spec.latent_pixels
    assert (frames.shape, frames.dtype.name, frames.flags.c_contiguous) == (
        (5, ROWS * side, COLUMNS * side, 3),
        "uint8",
        True,
    )


@BOTH
def test_previews_come_from_the_checkpoint_s_map(model: WanModel) -> None:
    frames = model.preview(torch.zeros(1, model.spec.latent_channels, 3, ROWS, COLUMNS))
    assert frames is not None
    assert frames.shape == (9, 4 * ROWS, 4 * COLUMNS, 3)
    assert (frames == 127).all()


def tiled(model: WanModel, tile_pixels: int | None) -> Decoder:
    model.follow(choose(model.device, Stage.DECODE, tile_pixels=tile_pixels))
    return model.open_decoder()


# Tiles --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("spec", [TINY_A14B], ids=["wan-a14b"])
@pytest.mark.parametrize(("rows", "columns"), [(22, 5), (5, 22)])
def test_tiles_are_blended_as_diffusers_blends_them(model: WanModel, rows: int, columns: int) -> None:
    """On sizes where diffusers cuts the same tiles; where four meet it counts one of them twice."""
    latents = timeline(model.spec, latents=2, rows=rows, columns=columns)
    strides = {"tile_sample_stride_height": 96, "tile_sample_stride_width": 96}
    expected = whole(model, latents, tile_sample_min_height=160, tile_sample_min_width=160, **strides)
    made = decode(tiled(model, 160), latents)[0]
    assert np.abs(made.astype(int) - to_pixels(expected)).max() <= 1


@BOTH
def test_each_tile_remembers_for_itself(model: WanModel) -> None:
    """Two by two of them."""
    side = 128 // model.spec.latent_pixels
    latents = timeline(model.spec, latents=3, rows=side, columns=side)
    made = np.concatenate(decode(tiled(model, 96), latents[:, :, :1], latents[:, :, 1:]))
    assert (made == decode(tiled(model, 96), latents)[0]).all()
    assert made.shape == (9, 128, 128, 3)


@BOTH
def test_a_tile_as_large_as_the_picture_is_the_picture(model: WanModel) -> None:
    latents = timeline(model.spec, latents=2)
    one, other = (decode(tiled(model, tile), latents)[0] for tile in (None, 256))
    assert (one == other).all()


@BOTH
@pytest.mark.parametrize("tile", [256, 512])
@pytest.mark.parametrize("size", [(256, 256), (320, 512), (704, 1280), (1280, 704), (960, 960), (480, 832)], ids=str)
def test_tiles_are_those_that_memory_was_counted_for(model: WanModel, tile: int, size: tuple[int, int]) -> None:
    spec, (height, width) = model.spec, size
    decoder: Any = tiled(model, tile)
    streams = decoder._lay_out(height // spec.latent_pixels, width // spec.latent_pixels)
    load = Workload(
        spec=spec,
        shape=VideoShape(width=width, height=height),
        chunk_latents=5,
        guided=True,
        continued=False,
        window_latents=4,
        tile_pixels=tile,
    )
    assert len(streams) == load.tiles
    shares = torch.zeros(height, width)
    for stream in streams:
        down, across = (span.weights(spec.latent_pixels, TILE_OVERLAP_PIXELS) for span in (stream.rows, stream.columns))
        rows, columns = (
            slice(span.start * spec.latent_pixels, span.stop * spec.latent_pixels)
            for span in (stream.rows, stream.columns)
        )
        assert max(len(down), len(across)) <= tile
        shares[rows, columns] += down[:, None] * across
    torch.testing.assert_close(shares, torch.ones(height, width))
