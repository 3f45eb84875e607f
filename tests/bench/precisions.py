"""What coarser weights cost the picture: the miniature in each precision against itself in float32, same seeds.

    python -m tests.bench.precisions [--pairs 24]

Prints a Markdown table: how far the latents are from those of float32 (relative, mean), the PSNR of the pictures
against float32's (mean and worst clip), how many of what was asked is right (tests/judge.py: colour, background,
motion, shape of each clip), and how many times smaller the weights are. One unchunked clip a pair, 256 x 160,
49 frames, default settings. bfloat16 is the whole model, the other rows are one component each, the rest in float32:
the last line of each is what `PICTURE_COSTS` in pipeline/plan/combinations.py says.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from huggingface_hub import constants
from numpy.typing import NDArray

from pipeline.models.ltx import LTXModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.device import Device, probe_device
from pipeline.plan.memory import Placement, Precision, Stage, weight_bytes
from pipeline.plan.placement import Choice
from pipeline.training.scenes import Words
from tests.bench.miniature import TARGETS, make_clip, pairs
from tests.judge import judge

WAYS: dict[str, tuple[Stage, Precision]] = {
    "transformer in fp8": (Stage.DENOISE, Precision.FP8),
    "transformer in int8": (Stage.DENOISE, Precision.INT8),
    "transformer in int4": (Stage.DENOISE, Precision.INT4),
    "text encoder in int8": (Stage.ENCODE, Precision.INT8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfDevice(Device):
    """The processor, computing in 16 bits as cards do."""

    @property
    def dtype(self) -> str:
        """Of weights and embeddings."""
        return "bfloat16"


def choices(device: Device, coarse: tuple[Stage, Precision] | None) -> Mapping[Stage, Choice]:
    """Every stage plainly, except that one is in another precision."""
    stage, precision = coarse or (Stage.ENCODE, Precision(device.dtype))
    plain: dict[str, Any] = {"placement": Placement.VISITING, "card_bytes": 0, "ram_bytes": 0}
    return {
        each: Choice(stage=each, precision=precision if each is stage else Precision(device.dtype), **plain)
        for each in Stage
    }


def right(asked: Words, frames: NDArray[np.uint8]) -> int:
    """How many of the four things asked for are seen."""
    seen = judge(frames).words
    return sum(getattr(asked, name) == getattr(seen, name) for name in TARGETS)


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """In dB."""
    error = np.square(one.astype(np.float32) - other.astype(np.float32)).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=24)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    asked = pairs(options.pairs, tuning=True)
    device = probe_device(use_card=False)
    half = HalfDevice(**{field.name: getattr(device, field.name) for field in fields(Device)})
    today, machine = time.strftime("%Y-%m-%d"), f"{platform.machine()}, {device.name}"
    print(f"# What coarser weights cost the picture, {today}, {machine}, {len(asked)} clips\n")
    print("| | latents' error | PSNR, mean | worst | asked and right | weights ÷ bfloat16 |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as kept:
        constants.HF_HUB_CACHE = kept
        model = LTXModel(MINIATURE, device)
        reference = [make_clip(model, sentence, seed) for _, sentence, seed in asked]
        total = sum(right(words, frames) for (words, _, _), (_, frames) in zip(asked, reference, strict=True))
        print(f"| float32 | 0 | | | {total / (4 * len(asked)):.0%} | 2.00 |")
        rows: dict[str, tuple[Device, tuple[Stage, Precision] | None]] = {"all in bfloat16": (half, None)}
        rows |= {name: (device, way) for name, way in WAYS.items()}
        for name, (where, way) in rows.items():
            model = LTXModel(MINIATURE, where)
            model.follow(choices(where, way))
            errors, decibels, good = list[float](), list[float](), 0
            for (words, sentence, seed), (latents, frames) in zip(asked, reference, strict=True):
                made, pictures = make_clip(model, sentence, seed)
                errors.append(float((made - latents).norm() / latents.norm()))
                decibels.append(psnr(pictures, frames))
                good += right(words, pictures)
            size = 1.0
            if way:
                network = MINIATURE.transformer if way[0] is Stage.DENOISE else MINIATURE.text_encoder
                size = weight_bytes(network, way[1]) / weight_bytes(network, Precision.BFLOAT16)
            share = good / (4 * len(asked))
            quality = f"{np.mean(decibels):.1f} dB | {np.min(decibels):.1f} dB | {share:.0%}"
            print(f"| {name} | {np.mean(errors):.3f} | {quality} | {size:.2f} |", flush=True)


if __name__ == "__main__":
    main()
