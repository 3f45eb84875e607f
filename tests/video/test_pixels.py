"""What a VAE decodes becomes eight bits: rounded, cut at black and white, in the order players want."""

import pytest
import torch

from pipeline.video.pixels import to_pixels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_black_grey_and_white_are_where_they_belong(dtype: torch.dtype) -> None:
    video = torch.tensor([-7.0, -1.0, 0.0, 1.0, 7.0]).expand(3, 2, 1, 5).to(dtype).clone()
    assert to_pixels(video)[1, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_frames_come_first_and_colours_last() -> None:
    video = torch.full((3, 2, 4, 5), -1.0)
    video[2, 1, 3, 0] = 1
    pixels = to_pixels(video)
    assert (pixels.shape, pixels.dtype.name, pixels.flags.c_contiguous) == ((2, 4, 5, 3), "uint8", True)
    assert pixels[1, 3, 0].tolist() == [0, 0, 255]
    assert pixels.sum() == 255
