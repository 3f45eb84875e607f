"""Clips of the scenes as latents: rendered, encoded once by the miniature's VAE, kept in shards for the teacher.

    python -m pipeline.training.latents --work /tmp/miniature --shards 60

Each shard holds clips of one size. A clip starts at the scene's beginning (`fresh`) or somewhere on its way, so that
the teacher learns both to begin and to continue. Resumable: shards that exist are kept.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo

from pipeline.training.scenes import FRAMES_PER_SECOND, TRAINED, draw_scene, render

CLIP_FRAMES = 73  # ten latents: windows of seven can start at 0 to 3
SHARD_CLIPS = 48
FRESH_SHARE = 0.5  # of clips
LATEST_SECONDS = 8  # of a clip's start: by then what grows or shrinks has long been done, and is seen to stay as it is
SIZES = ((256, 160), (160, 96), (192, 192), (256, 160), (128, 128), (160, 256), (256, 160), (192, 128))


@torch.no_grad()
def make_shard(vae: AutoencoderKLLTXVideo, index: int) -> dict[str, object]:
    """Draw, render and encode one shard.

    Returns:
        latents [N, C, 10, h, w] float16 (posterior mean, not normalised); words, a list of N indices into TRAINED;
        fresh, a list of N bools.
    """
    rng = np.random.default_rng((7, index))
    width, height = SIZES[index % len(SIZES)]
    latents, words, fresh = [], [], []
    for _ in range(SHARD_CLIPS):
        word = int(rng.integers(len(TRAINED)))
        scene = draw_scene(TRAINED[word], width=width, height=height, rng=rng)
        is_fresh = bool(rng.random() < FRESH_SHARE)
        start = 0.0 if is_fresh else float(rng.integers(1, LATEST_SECONDS * FRAMES_PER_SECOND))
        clip = render(scene, start=start, frames=CLIP_FRAMES)[None]
        with torch.autocast("cpu", torch.bfloat16):
            latents.append(vae.encode(clip).latent_dist.mode()[0].half())
        words.append(word)
        fresh.append(is_fresh)
    return {"latents": torch.stack(latents), "words": words, "fresh": fresh}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--stride", type=int, default=1, help="for several processes side by side")
    arguments = parser.parse_args()
    vae = AutoencoderKLLTXVideo.from_pretrained(arguments.work / "miniature" / "vae").eval()
    folder = arguments.work / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(arguments.first, arguments.shards, arguments.stride):
        path = folder / f"{index:04d}.pt"
        if not path.exists():
            temporary = path.with_suffix(f".tmp{os.getpid()}")
            torch.save(make_shard(vae, index), temporary)
            os.replace(temporary, path)


if __name__ == "__main__":
    main()
