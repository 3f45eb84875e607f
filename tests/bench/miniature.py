"""How well the miniature does what it was asked: 64 held-out sentence-seed pairs at 256x160, 49 frames.

    python -m tests.bench.miniature [--pairs 64] [--model-folder assets/miniature]
    python -m tests.bench.miniature --tuning --guidance 3      # to choose settings with, on other pairs

Prints a Markdown report: the VAE's PSNR on whole clips it has never seen, how often colour, background, motion and
shape are right (tests/judge.py, plain image measurements), the confusion tables, and whether two seeds of one
sentence differ. Every sentence is a combination that training never saw; half of them are paraphrased.
"""

import argparse
import platform
import time
from collections import Counter
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo
from numpy.typing import NDArray
from torch import Tensor

import pipeline
from pipeline.gpu import loading
from pipeline.models.base import Sampling
from pipeline.models.ltx import LTXModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.device import probe_device
from pipeline.training.autoencoder import psnr
from pipeline.training.scenes import HELD_OUT, Words, draw_scene, render
from pipeline.training.sentences import canonical, paraphrase
from tests.judge import judge

TARGETS = {"colour": 0.90, "background": 0.90, "motion": 0.85, "shape": 0.75}
LEAST_PSNR = 28.0
FRAMES = 49


def measure_vae(model: LTXModel, clips: int) -> list[float]:
    """PSNR in dB of whole clips of held-out scenes through encoder and decoder."""
    vae = AutoencoderKLLTXVideo.from_pretrained(model.checkpoint.folder / "vae", dtype=torch.float32)  # encoder, too
    rng, words = np.random.default_rng(2024), sorted(HELD_OUT, key=astuple)
    values = []
    for index in range(clips):
        scene = draw_scene(words[(index * 5) % len(words)], width=256, height=160, rng=rng)
        clip = render(scene, frames=FRAMES)[None]
        with torch.no_grad():
            decoded = vae.decode(vae.encode(clip).latent_dist.mode()).sample.clamp(-1, 1)
        values.append(psnr(decoded, clip))
    return values


def make_clip(model: LTXModel, sentence: str, seed: int) -> tuple[Tensor, NDArray[np.uint8]]:
    """Latents and frames of one unchunked clip with default steps and guidance, through the product's own model."""
    spec = model.spec
    wanted = replace(
        pipeline.request(sentence, seed=seed), frames=FRAMES, steps=spec.default_steps, guidance=spec.default_guidance
    )
    plan = pipeline.plan(wanted)
    positive, negative = model.encode([sentence, ""])
    sampling = Sampling(
        shape=wanted.shape, steps=wanted.steps, guidance=wanted.guidance, positive=positive, negative=negative
    )
    latents = model.denoise(plan.chunks[0], sampling, tail=None, on_step=lambda *_: None)
    with model.open_decoder().visit() as decode:
        return latents, decode(latents)


def pairs(count: int, *, tuning: bool) -> list[tuple[Words, str, int]]:
    """Held-out words, a sentence for them and a seed; spread over all words, the same every time.

    Snapshots are watched and settings chosen with the `tuning` pairs; the others are for the report alone.
    """
    rng, words = np.random.default_rng(7 if tuning else 2027), sorted(HELD_OUT, key=astuple)
    first_seed = 1_000 if tuning else 700_000
    chosen = [words[index % len(words)] for index in rng.permutation(len(words) * (1 + count // len(words)))[:count]]
    return [
        (word, canonical(word) if index % 2 else paraphrase(word, rng), first_seed + index)
        for index, word in enumerate(chosen)
    ]


def confusion(title: str, seen: Counter[tuple[str, str]]) -> str:
    """A Markdown table, asked by seen."""
    names = sorted({name for pair in seen for name in pair})
    lines = [f"| {title}: asked \\ seen | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for asked in names:
        row = [str(seen[asked, name] or "") for name in names]
        if any(row):
            lines.append(f"| {asked} | {' | '.join(row)} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--model-folder", type=Path)
    parser.add_argument("--tuning", action="store_true", help="the pairs that settings are chosen with")
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--shift", type=float)
    parser.add_argument("--save", type=Path, help="write a contact sheet of the clips here")
    options = parser.parse_args()
    if options.model_folder:
        loading.ASSETS = options.model_folder.resolve().parent
    spec = replace(
        MINIATURE,
        default_steps=options.steps or MINIATURE.default_steps,
        default_guidance=options.guidance or MINIATURE.default_guidance,
        sigma_shift=options.shift or MINIATURE.sigma_shift,
    )
    model = LTXModel(spec, probe_device(use_card=False))
    print(f"# The miniature, {time.strftime('%Y-%m-%d')}, {platform.machine()}, {model.device.name}\n")
    if not options.tuning:
        quality = measure_vae(model, 24)
        print(f"VAE: mean {np.mean(quality):.1f} dB, worst {np.min(quality):.1f} dB, 24 clips (target {LEAST_PSNR})\n")

    right: Counter[str] = Counter()
    tables: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in TARGETS}
    sheet, seconds = [], 0.0
    for words, sentence, seed in pairs(options.pairs, tuning=options.tuning):
        start = time.monotonic()
        _, frames = make_clip(model, sentence, seed)
        seconds += time.monotonic() - start
        seen = judge(frames).words
        for name in TARGETS:
            asked, found = getattr(words, name), getattr(seen, name)
            right[name] += asked == found
            tables[name][asked, found or "nothing"] += 1
        sheet.append(np.concatenate(frames[[0, 16, 32, 48]], axis=1))
    print("| | right | target |\n|---|---|---|")
    for name, target in TARGETS.items():
        print(f"| {name} | {right[name] / options.pairs:.0%} | {target:.0%} |")
    for name, table in tables.items():
        print(f"\n{confusion(name, table)}")

    sentence = canonical(sorted(HELD_OUT, key=astuple)[0])
    first, second = (make_clip(model, sentence, seed)[1].astype(float) for seed in (1, 2))
    print(f"\nTwo seeds of one sentence: mean absolute difference {np.abs(first - second).mean():.1f} of 255 levels.")
    print(f"{seconds / options.pairs:.1f} s a clip.")
    if options.save:
        from PIL import Image

        columns = 4
        rows = [
            np.concatenate(sheet[i : i + columns], axis=1) for i in range(0, len(sheet) // columns * columns, columns)
        ]
        Image.fromarray(np.concatenate(rows)).resize((1600, 1600 * len(rows) * 160 // (columns * 1024))).save(
            options.save
        )


if __name__ == "__main__":
    main()
