"""How often the draft made from a take is like the take: `python -m tests.bench.takes`. Minutes, on the miniature.

For sentences and seeds drawn once, the take (plan/takes.py) and the draft's first chunk in full steps are made. Alike
is where the object is: the mean distance of its centre, over the frames that show it in both, as a share of the width.
Beside it stands the same distance to the take of the next seed, which is what chance gives.

`--batch` measures instead what denoising four takes in one batch saves against one after the other.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

import pipeline
from pipeline.gpu.backend import torch_device, torch_dtype
from pipeline.models.ltx import LTXModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.device import probe_device
from pipeline.plan.spec import Component
from pipeline.plan.takes import take_of
from tests.judge import CONTRAST, SMALLEST_AREA, judge
from tests.watching import film_of

SENTENCES = (
    "a red ball moves left over snow",
    "a yellow star rises over night",
    "a blue square falls over grass",
    "a green triangle moves right over sand",
)
SEEDS = (11, 12, 13, 14)
DRAFT_STEPS = 24
NEAR = 0.1  # of the width: an eye takes it for the same place
TAKES = 4
PASSES = 9  # of the transformer, of which the median counts


def centres(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Where the object is in each frame, [F, 2] in shares of the width; nan where it is not seen."""
    clip = frames.astype(np.float32)
    rows = np.median(clip.transpose(1, 0, 2, 3).reshape(clip.shape[1], -1, 3), axis=1)
    masks = np.abs(clip - rows[None, :, None, :]).max(axis=-1) > CONTRAST
    found = [np.argwhere(mask).mean(axis=0) if mask.sum() > SMALLEST_AREA else np.full(2, np.nan) for mask in masks]
    return np.asarray(found, np.float64) / float(frames.shape[2])


def apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The mean distance over frames that show the object in both."""
    length = min(len(one), len(other))
    return float(np.nanmean(np.linalg.norm(one[:length] - other[:length], axis=1)))


@torch.inference_mode()
def pass_seconds(clips: int) -> float:
    """The median of the miniature's transformer passes for so many takes of its native length at once, guided."""
    device = probe_device()
    place, dtype = torch_device(device), torch_dtype(device)
    model, size = LTXModel(MINIATURE, device), (MINIATURE.latents_of(MINIATURE.native_frames), 5, 8)
    rows = 2 * clips  # one of each with the sentence, one without
    with model.residency.on_device(Component.TRANSFORMER) as transformer:
        inputs = {
            "hidden_states": torch.randn(rows, size[0] * size[1] * size[2], MINIATURE.latent_channels),
            "encoder_hidden_states": torch.randn(rows, MINIATURE.text_tokens, transformer.config.caption_channels),
            "timestep": torch.full((rows,), 500.0),
            "encoder_attention_mask": torch.ones(rows, MINIATURE.text_tokens),
        }
        inputs = {name: tensor.to(place, dtype) for name, tensor in inputs.items()}
        taken = list[float]()
        for _ in range(1 + PASSES):
            begun = time.perf_counter()
            velocity = transformer(
                **inputs, num_frames=size[0], height=size[1], width=size[2], rope_interpolation_scale=(1, 1, 1)
            )[0]
            velocity.sum().item()  # what a card still computes is waited for
            taken.append(time.perf_counter() - begun)
    return float(np.median(taken[1:]))


def main() -> None:
    """Make them and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=DRAFT_STEPS, help="of the draft")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), choices=range(2, len(SEEDS) + 1), help="a sentence")
    parser.add_argument("--batch", action="store_true", help="time takes in one batch instead")
    options = parser.parse_args()
    if options.batch:
        one, all_of_them = pass_seconds(1), pass_seconds(TAKES)
        print(
            f"{TAKES} takes in one batch, 256x160: {all_of_them / (TAKES * one):.2f} of the time of one after the other"
        )
        return
    seeds = SEEDS[: options.seeds]
    same, chance, moved = list[float](), list[float](), 0
    with TemporaryDirectory() as folder:
        drafts = Path(folder)
        for sentence in SENTENCES:
            takes, wholes = [], []
            for seed in seeds:
                wanted = replace(pipeline.request(sentence, seconds=2, seed=seed), steps=options.steps)
                take = take_of(pipeline.plan(wanted, drafts), seed)
                takes.append(film_of(take, drafts))
                wholes.append(film_of(wanted, drafts)[: len(takes[-1])])
            seen, meant = [centres(take) for take in takes], [centres(whole) for whole in wholes]
            same += [apart(*pair) for pair in zip(seen, meant, strict=True)]
            chance += [apart(seen[(number + 1) % len(seeds)], meant[number]) for number in range(len(seeds))]
            pairs = zip(takes, wholes, strict=True)
            moved += sum(judge(take).words.motion == judge(whole).words.motion for take, whole in pairs)
            print(f"{sentence}: {same[-len(seeds) :]}", flush=True)
    count = len(same)
    print(f"{count} takes of {take.steps} steps, {take.frames} frames, against drafts of {options.steps} steps")
    for name, values in (("the take's own draft", same), ("the draft of another seed", chance)):
        near = sum(value < NEAR for value in values)
        print(f"{name}: {np.nanmedian(values):.3f} of the width apart, {near} of {count} nearer than {NEAR}")
    print(f"the same motion: {moved} of {count}")


if __name__ == "__main__":
    main()
