"""From what a VAE decodes to pictures: one conversion for every family."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_pixels(video: Tensor) -> NDArray[np.uint8]:
    """Pictures [F, H, W, 3] uint8 on the CPU, rounded on the device they come from.

    Args:
        video: [3, F, H, W] of any floating dtype, black at -1 and white at 1, cut beyond; overwritten where float32.
    """
    pixels = video.float().clamp_(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 3, 0).cpu().numpy())
