"""How like the pictures a draft's first and last frames are, by how the end is told: `python -m tests.bench.keyframes`.

Scenes of held-out sentences are drawn; the miniature is given the first frame, and the last one in two ways: held as
the last latent, standing still, or beside the sequence at the last frame's place, as LTX-Video takes it.
"""

import argparse
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.models.base import Sampling
from pipeline.models.ltx import LTXModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import probe_device
from pipeline.plan.spec import VideoShape
from pipeline.training.scenes import HELD_OUT, Words, draw_scene, render
from tests.judge import judge

SHAPE = VideoShape(width=160, height=96)
LATENTS = 5
WAYS = ("no picture", "start", "start, end held", "start, end beside")


def drawn(words: Words, seed: int) -> NDArray[np.uint8]:
    """Frames [F, H, W, 3] of a scene."""
    scene = draw_scene(words, width=SHAPE.width, height=SHAPE.height, rng=np.random.default_rng(seed))
    clip = render(scene, frames=MINIATURE.frames_of(LATENTS)).permute(1, 2, 3, 0).numpy()
    return np.rint((clip + 1) * 127.5).astype(np.uint8)


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """In dB."""
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


def measure(model: LTXModel, words: Words, seed: int, steps: int) -> dict[str, tuple[float, float, bool, bool]]:
    """PSNR of the first and of the last frame, and whether colour and motion are the sentence's, by way."""
    clip = drawn(words, seed)
    positive, negative = model.encode([f"a {words.colour} {words.shape} {words.motion} over {words.background}", ""])
    plain = Sampling(
        shape=SHAPE, steps=steps, guidance=MINIATURE.default_guidance, positive=positive, negative=negative
    )
    start, beside = model.encode_frames(clip[:1]), model.encode_frames(clip[-1:])
    held = model.encode_frames(clip[-1:].repeat(1 + MINIATURE.frame_stride, axis=0))[:, :, 1:]
    given = (None, plain), (start, plain), (start, replace(plain, ahead=held)), (start, replace(plain, keyframe=beside))
    found = {}
    for way, (tail, sampling) in zip(WAYS, given, strict=True):
        chunk = Chunk(index=0, start=0, stop=LATENTS, overlap=0, seed=seed, shot=0)
        latents = model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None)
        with model.open_decoder().visit() as decode:
            film = decode(latents)
        seen = judge(film).words
        found[way] = (
            psnr(film[0], clip[0]),
            psnr(film[-1], clip[-1]),
            seen.colour == words.colour,
            seen.motion == words.motion,
        )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--steps", type=int, default=MINIATURE.default_steps)
    options = parser.parse_args()
    model = LTXModel(MINIATURE, probe_device(use_card=False))
    words = sorted(HELD_OUT, key=str)
    chosen = np.random.default_rng(0).choice(len(words), options.scenes, replace=False)
    found = [measure(model, words[which], 100 + seed, options.steps) for seed, which in enumerate(chosen)]
    print("| given | first frame, dB (worst) | last frame, dB (worst) | colour | motion |")
    print("|---|---|---|---|---|")
    for way in WAYS:
        firsts, lasts, colours, motions = zip(*(result[way] for result in found), strict=True)
        ends = " | ".join(f"{np.mean(values):.1f} ({min(values):.1f})" for values in (firsts, lasts))
        print(f"| {way} | {ends} | {sum(colours)} of {len(found)} | {sum(motions)} of {len(found)} |")


if __name__ == "__main__":
    main()
