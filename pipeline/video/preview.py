"""Rough pictures straight from latents: one matrix product, no VAE. Small enough to send at every step."""

import io
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.events import Preview

logger = logging.getLogger(__name__)

SHARE = 0.05  # of the steps' time that previews may cost; dearer ones are drawn less often
LEAST_SECONDS = 0.08  # from one to the next: each is a moving picture, and gone before it is seen if more come
GRID_PIXELS = 4  # preview pixels a latent is drawn with, down and across
FRAME_STEP = 2  # every second frame: half the bytes, still moving
JPEG_QUALITY = 72
LARGEST_STRIP_PIXELS = 65_000  # JPEG's own limit is 65,535 a side


@dataclass(frozen=True, slots=True)
class LatentMap:
    """A linear map from one normalised latent to the pixels it stands for, fitted by training/package.py.

    weight: [C, n * 4 * 4 * 3] and bias [n * 4 * 4 * 3] float32, giving n frames of 4x4 RGB in [0, 1], as many as the
    VAE makes of a latent: 8 for LTX, 4 for Wan. The first latent of a draft stands for one frame, the last of its n.
    """

    weight: Tensor
    bias: Tensor

    @property
    def stride(self) -> int:
        """Frames that a latent stands for."""
        return self.weight.shape[1] // (GRID_PIXELS * GRID_PIXELS * 3)

    @staticmethod
    def load(path: Path) -> "LatentMap | None":
        """The map beside a checkpoint's weights; None when there is none."""
        try:
            tensors = load_file(path)
            return LatentMap(tensors["weight"], tensors["bias"])
        except (OSError, SafetensorError, KeyError):
            return None

    def draw(self, latents: Tensor) -> NDArray[np.uint8]:
        """Frames [n (F - 1) + 1, 4h, 4w, 3] of latents [1, C, F, h, w]."""
        _, channels, count, height, width = latents.shape
        tokens = latents[0].permute(1, 2, 3, 0).reshape(-1, channels).float()
        pixels = torch.addmm(self.bias.to(tokens), tokens, self.weight.to(tokens)).clamp_(0, 1).mul_(255)
        blocks = pixels.to(torch.uint8).view(count, height, width, self.stride, GRID_PIXELS, GRID_PIXELS, 3)
        frames = blocks.permute(0, 3, 1, 4, 2, 5, 6).reshape(
            count * self.stride, height * GRID_PIXELS, width * GRID_PIXELS, 3
        )
        return frames[self.stride - 1 :].cpu().numpy()


@dataclass(slots=True)
class PacedPreviews:
    """The previews of one draft: drawn while they have cost less than their share of the steps' time, and no more often
    than they can be looked at."""

    step_seconds: float = 0.0
    preview_seconds: float = 0.0
    since_last_seconds: float = LEAST_SECONDS

    def draw(self, frames: Callable[[], NDArray[np.uint8] | None], *, step_seconds: float) -> Preview | None:
        """A preview after a step that took `step_seconds`, or None. Whatever goes wrong, the draft goes on."""
        self.step_seconds += step_seconds
        self.since_last_seconds += step_seconds
        if self.preview_seconds > SHARE * self.step_seconds or self.since_last_seconds < LEAST_SECONDS:
            return None
        start, self.since_last_seconds = time.monotonic(), 0.0
        try:
            drawn = frames()
            return None if drawn is None else to_strip(drawn)
        except Exception:
            logger.warning("no preview of this step", exc_info=True)
            return None
        finally:
            self.preview_seconds += time.monotonic() - start


def to_strip(frames: NDArray[np.uint8]) -> Preview:
    """A JPEG strip of every second frame, from top to bottom.

    Args:
        frames: [F, h, w, 3] uint8.
    """
    chosen = frames[::FRAME_STEP]
    chosen = chosen[: max(1, LARGEST_STRIP_PIXELS // frames.shape[1])]
    count, height, width, _ = chosen.shape
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(chosen).reshape(count * height, width, 3)).save(
        buffer, "JPEG", quality=JPEG_QUALITY
    )
    return Preview(jpeg=buffer.getvalue(), frames=count, width=width, height=height)
