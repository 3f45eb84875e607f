"""The rough picture of every step: the right frames in the right places, small, or none at all."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pipeline.video.preview import LARGEST_STRIP_PIXELS, LatentMap, PacedPreviews, to_strip

PIXELS = 8 * 4 * 4 * 3


@pytest.fixture
def latent_map() -> LatentMap:
    """Two channels: the first is brightness, the second nothing."""
    weight = torch.zeros(2, PIXELS)
    weight[0] = 1
    return LatentMap(weight, torch.zeros(PIXELS))


def test_a_latent_is_eight_frames_of_four_by_four_and_the_first_is_one(latent_map: LatentMap) -> None:
    frames = latent_map.draw(torch.zeros(1, 2, 4, 3, 5))
    assert frames.shape == (25, 12, 20, 3)
    assert frames.dtype == np.uint8
    assert latent_map.draw(torch.zeros(1, 2, 1, 3, 5)).shape == (1, 12, 20, 3)


def test_a_map_of_four_frames_draws_four(latent_map: LatentMap) -> None:
    half = LatentMap(latent_map.weight[:, : PIXELS // 2], latent_map.bias[: PIXELS // 2])
    assert half.draw(torch.zeros(1, 2, 4, 3, 5)).shape == (13, 12, 20, 3)


def test_a_latent_shows_where_and_when_it_stands(latent_map: LatentMap) -> None:
    latents = torch.zeros(1, 2, 3, 2, 2)
    latents[0, 0, 1, 0, 1] = 1  # second latent, upper right
    frames = latent_map.draw(latents)
    lit = frames[1:9, 0:4, 4:8]
    assert (lit == 255).all()
    assert frames.astype(int).sum() == lit.astype(int).sum()


def test_pixels_within_a_latent_are_ordered_frame_row_column_colour() -> None:
    weight = torch.arange(PIXELS, dtype=torch.float32)[None] / 1000
    frames = LatentMap(weight, torch.zeros(PIXELS)).draw(torch.ones(1, 1, 2, 1, 1))
    expected = (weight[0].view(8, 4, 4, 3) * 255).to(torch.uint8).numpy()
    assert (frames[0] == expected[7]).all()
    assert (frames[1:] == expected).all()


def test_values_beyond_black_and_white_are_cut(latent_map: LatentMap) -> None:
    latents = torch.zeros(1, 2, 1, 1, 2)
    latents[0, 0, 0, 0] = torch.tensor([-3.0, 7.0])
    frames = latent_map.draw(latents)
    assert (frames[0, :, :4] == 0).all()
    assert (frames[0, :, 4:] == 255).all()


def test_half_precision_latents_are_drawn_too(latent_map: LatentMap) -> None:
    assert latent_map.draw(torch.ones(1, 2, 2, 1, 1, dtype=torch.bfloat16)).max() == 255


def test_a_strip_is_every_second_frame_from_top_to_bottom() -> None:
    frames = np.zeros((5, 8, 16, 3), np.uint8)
    for index in range(5):
        frames[index] = 50 * index
    strip = to_strip(frames)
    assert (strip.frames, strip.width, strip.height) == (3, 16, 8)
    picture = np.asarray(Image.open(io.BytesIO(strip.jpeg)))
    assert picture.shape == (24, 16, 3)
    for position, shade in enumerate((0, 100, 200)):
        assert abs(picture[8 * position : 8 * position + 8].astype(int) - shade).max() <= 3


def test_a_strip_of_a_whole_native_chunk_is_small_to_send() -> None:
    ramp = np.linspace(0, 255, 49 * 20 * 32 * 3).astype(np.uint8)
    assert len(to_strip(ramp.reshape(49, 20, 32, 3)).jpeg) < 20_000


def test_a_strip_never_gets_taller_than_a_jpeg_can_be() -> None:
    strip = to_strip(np.zeros((4000, 40, 8, 3), np.uint8))
    assert strip.frames * strip.height <= LARGEST_STRIP_PIXELS
    assert Image.open(io.BytesIO(strip.jpeg)).size == (8, strip.frames * 40)


def test_a_checkpoint_without_a_readable_map_has_none(tmp_path: Path) -> None:
    assert LatentMap.load(tmp_path / "latent_rgb.safetensors") is None
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    assert LatentMap.load(tmp_path / "torn.safetensors") is None
    save_file({"weight": torch.zeros(2, PIXELS)}, tmp_path / "half.safetensors")
    assert LatentMap.load(tmp_path / "half.safetensors") is None


def test_a_map_on_disk_is_read_as_it_was_written(tmp_path: Path) -> None:
    tensors = {"weight": torch.randn(2, PIXELS), "bias": torch.randn(PIXELS)}
    save_file(tensors, tmp_path / "map.safetensors")
    found = LatentMap.load(tmp_path / "map.safetensors")
    assert found is not None
    assert torch.equal(found.weight, tensors["weight"])
    assert torch.equal(found.bias, tensors["bias"])


@pytest.mark.parametrize(
    ("step_seconds", "drawn"),
    [(0.5, [True] * 5), (0.05, [True, False, True, False, True]), (0.03, [True, *[False] * 2] * 2)],
)
def test_previews_come_no_more_often_than_they_can_be_looked_at(step_seconds: float, drawn: list[bool]) -> None:
    previews, frames = PacedPreviews(), np.zeros((1, 4, 4, 3), np.uint8)
    told = [previews.draw(lambda: frames, step_seconds=step_seconds) for _ in drawn]
    assert [preview is not None for preview in told] == drawn
