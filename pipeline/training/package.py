"""Put what was trained into diffusers' folder format: what the product loads, and nothing of the training.

python -m pipeline.training.package vae --work /tmp/miniature          # after the autoencoder
python -m pipeline.training.package all --work /tmp/miniature          # after the teacher
python -m pipeline.training.package all --work /tmp/miniature --output assets/miniature --half
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file
from torch import Tensor

from pipeline.training.autoencoder import CONFIG, LATENT_CHANNELS
from pipeline.training.scenes import TRAINED, draw_scene, render
from pipeline.training.sentences import build_tokenizer
from pipeline.training.teacher import Teacher

STATISTICS_CLIPS = 64
PREVIEW_CLIPS = 48
PREVIEW_GRID = (4, 4)  # preview pixels a latent is drawn with, down and across
QUIET_CHANNEL = 0.2  # of the loudest channel's deviation: quieter ones carry little and are not blown up to unit scale
RIDGE = 1e-2


def sample_clips(vae: AutoencoderKLLTXVideo, clips: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Pixels [3, F, H, W] and latents [C, f, h, w] (posterior mean) of random 256x160 clips of 49 frames."""
    rng = np.random.default_rng(seed)
    pixels, latents = [], []
    for _ in range(clips):
        scene = draw_scene(TRAINED[rng.integers(len(TRAINED))], width=256, height=160, rng=rng)
        clip = render(scene, start=float(rng.integers(0, 100)), frames=49)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            latents.append(vae.encode(clip[None]).latent_dist.mode()[0].float())
        pixels.append(clip)
    return pixels, latents


def measure_statistics(vae: AutoencoderKLLTXVideo) -> tuple[Tensor, Tensor]:
    """Per-channel mean and deviation of the latents, [C] float32 each; quiet channels keep a floor."""
    _, latents = sample_clips(vae, STATISTICS_CLIPS, seed=11)
    values = torch.cat([latent.flatten(1) for latent in latents], dim=1)
    std = values.std(dim=1)
    return values.mean(dim=1), std.clamp(min=float(QUIET_CHANNEL * std.max()))


def fit_preview(vae: AutoencoderKLLTXVideo) -> dict[str, Tensor]:
    """Least-squares map from one normalised latent to the pixels it stands for, shrunk to a small grid.

    Returns:
        weight [C, 8 * 4 * 4 * 3] and bias [8 * 4 * 4 * 3] float32: eight frames of 4x4 RGB in [0, 1] a latent.
        A clip's first latent stands for one frame, which is the last of its eight.
    """
    pixels, latents = sample_clips(vae, PREVIEW_CLIPS, seed=12)
    mean, std = vae.latents_mean.view(-1, 1, 1, 1), vae.latents_std.view(-1, 1, 1, 1)
    inputs, targets = [], []
    for clip, latent in zip(pixels, latents, strict=True):
        channels, count, height, width = latent.shape
        small = torch.nn.functional.interpolate(
            (clip[:, 1:].transpose(0, 1) + 1) / 2, (height * PREVIEW_GRID[0], width * PREVIEW_GRID[1]), mode="area"
        )  # [8 * (count - 1), 3, 4h, 4w]
        small = small.reshape(count - 1, 8, 3, height, PREVIEW_GRID[0], width, PREVIEW_GRID[1])
        targets.append(small.permute(0, 3, 5, 1, 4, 6, 2).reshape(-1, 8 * PREVIEW_GRID[0] * PREVIEW_GRID[1] * 3))
        normal = ((latent - mean) / std)[:, 1:]
        inputs.append(normal.permute(1, 2, 3, 0).reshape(-1, channels))
    x, y = torch.cat(inputs), torch.cat(targets)
    x = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    solution = torch.linalg.solve(x.T @ x + RIDGE * len(x) * torch.eye(x.shape[1]), x.T @ y)
    return {"weight": solution[:-1].contiguous(), "bias": solution[-1].contiguous()}


def package_vae(work: Path) -> None:
    """Write the averaged VAE, with its statistics, to `work`/miniature/vae."""
    vae = AutoencoderKLLTXVideo(**CONFIG)
    vae.load_state_dict(torch.load(work / "autoencoder.pt", weights_only=True)["average"])
    if (work / "decoder.pt").exists():
        vae.load_state_dict(torch.load(work / "decoder.pt", weights_only=True)["average"])
    vae = vae.to(memory_format=torch.contiguous_format).eval()
    if not (work / "statistics.pt").exists():  # the encoder's, and the teacher learns with them: measured once
        mean, std = measure_statistics(vae)
        torch.save({"mean": mean, "std": std}, work / "statistics.pt")
    statistics = torch.load(work / "statistics.pt", weights_only=True)
    vae.latents_mean.copy_(statistics["mean"])
    vae.latents_std.copy_(statistics["std"])
    vae.save_pretrained(work / "miniature" / "vae")


def package_all(work: Path, output: Path, *, half: bool) -> None:
    """Write the whole miniature to `output`, in float16 if `half`."""
    dtype = torch.float16 if half else torch.float32
    vae = AutoencoderKLLTXVideo.from_pretrained(work / "miniature" / "vae")
    vae.register_to_config(_name_or_path="miniature")  # not where it was trained
    save_file(fit_preview(vae), _folder(output / "preview") / "latent_rgb.safetensors")
    vae.to(dtype).save_pretrained(output / "vae")
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(output / "tokenizer")
    teacher = Teacher(LATENT_CHANNELS, len(tokenizer))
    teacher.load_state_dict(torch.load(work / "teacher.pt", weights_only=True)["average"])
    teacher.text_encoder.to(dtype).save_pretrained(output / "text_encoder")
    teacher.transformer.to(dtype).save_pretrained(output / "transformer")
    FlowMatchEulerDiscreteScheduler(shift=1.0).save_pretrained(output / "scheduler")
    index = {
        "_class_name": "LTXConditionPipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": ["diffusers", "LTXVideoTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLLTXVideo"],
    }
    (output / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("vae", "all"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--half", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "vae":
        package_vae(arguments.work)
    else:
        package_all(arguments.work, arguments.output or arguments.work / "miniature", half=arguments.half)


if __name__ == "__main__":
    main()
