"""Train the miniature's VAE: LTX-Video's own autoencoder class, 32x32x8 compression, on crops of the scenes.

    python -m pipeline.training.autoencoder --work /tmp/miniature --steps 4800
    python -m pipeline.training.autoencoder --work /tmp/miniature --steps 1200 --decoder-only   # while latents exist

The second form leaves the encoder, and so every latent that was ever made, as it is, and goes on with the decoder.
Resumable: the work folder holds the last state; the same command goes on from there. Takes bf16 autocast on the CPU
(about six times the fp32 matmul rate where the processor has AVX512-BF16) or on a GPU.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.training.scenes import FRAMES_PER_SECOND, TRAINED, draw_scene, render
from pipeline.training.state import State, learning_rate

LATENT_CHANNELS = 64
CONFIG = {
    # LTX-Video 0.9.5's blocks (residual down- and upsampling), narrow: 32x32x8 pixels a latent.
    "latent_channels": LATENT_CHANNELS,
    "block_out_channels": (32, 64, 128, 128),
    "down_block_types": ("LTXVideo095DownBlock3D",) * 3,
    "layers_per_block": (1, 1, 1, 1),
    "downsample_type": ("spatiotemporal",) * 3,
    "spatio_temporal_scaling": (True, True, True),
    "decoder_block_out_channels": (32, 64, 128),
    "decoder_layers_per_block": (2, 2, 2, 2),
    "decoder_spatio_temporal_scaling": (True, True, True),
    "decoder_inject_noise": (False,) * 4,
    "upsample_residual": (True,) * 3,
    "upsample_factor": (1, 2, 2),
    "patch_size": 4,
    "decoder_causal": False,
}
CROPS = ((64, 64, 17, 8), (96, 96, 17, 4), (128, 96, 9, 5), (64, 64, 25, 6))  # width, height, frames, batch
SIZES = ((256, 160), (256, 160), (160, 256), (192, 192), (128, 128), (192, 128))
KL_WEIGHT = 2e-5  # per latent value: keeps latents near unit scale; 5e-4 collapsed to the mean image
START_LOG_VARIANCE = -5.0  # at 0 the first latents drown in their own sampling noise and nothing is ever learnt
DECODER_LEARNING_RATE = 8e-4
PEAK_LEARNING_RATE = 2e-3  # with Muon; AdamW at 1e-3 collapses to the mean image for good


def random_crops(rng: np.random.Generator, step: int) -> Tensor:
    """One batch of crops, most of them around the object. [B, 3, F, H, W] float32 in [-1, 1]."""
    width, height, frames, batch = CROPS[step % len(CROPS)]
    clips = []
    for _ in range(batch):
        size = SIZES[rng.integers(len(SIZES))]
        scene = draw_scene(TRAINED[rng.integers(len(TRAINED))], width=size[0], height=size[1], rng=rng)
        start = float(rng.integers(0, 5 * FRAMES_PER_SECOND))
        x, y, _ = scene.track(torch.tensor([start + frames / 2]))
        jitter = rng.normal(0, 24, 2) if rng.random() < 0.85 else rng.normal(0, 400, 2)
        left = int(np.clip(x.item() - width / 2 + jitter[0], 0, size[0] - width))
        top = int(np.clip(y.item() - height / 2 + jitter[1], 0, size[1] - height))
        clips.append(render(scene, start=start, frames=frames, crop=(left, top, width, height)))
    return torch.stack(clips)


def as_matrix(kernel: Tensor) -> Tensor:
    """A convolution kernel [out, in, t, h, w] as a matrix [out, t*h*w*in]; a view of one in channels-last memory."""
    return kernel.permute(0, 2, 3, 4, 1).contiguous().view(kernel.shape[0], -1)


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two clips in [-1, 1]."""
    return float(10 * torch.log10(4 / F.mse_loss(a.float(), b.float())))


@torch.no_grad()
def full_frame_psnr(vae: AutoencoderKLLTXVideo, *, clips: int, seed: int) -> float:
    """Mean PSNR in dB over whole 256x160 clips of 49 frames, encoded and decoded in the VAE's dtype."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(clips):
        scene = draw_scene(TRAINED[rng.integers(len(TRAINED))], width=256, height=160, rng=rng)
        clip = render(scene, frames=49)[None]
        with torch.autocast("cpu", torch.bfloat16):
            decoded = vae.decode(vae.encode(clip).latent_dist.mode()).sample
        values.append(psnr(decoded.clamp(-1, 1), clip))
    return float(np.mean(values))


def train(work: Path, *, steps: int, device: str, seed: int, decoder_only: bool) -> None:
    """Train to `steps` steps, saving state and an averaged copy under `work` every 200."""
    torch.manual_seed(seed)
    vae = AutoencoderKLLTXVideo(**CONFIG)
    with torch.no_grad():
        vae.encoder.conv_out.conv.bias[-1] = START_LOG_VARIANCE
    name, peak = ("decoder", DECODER_LEARNING_RATE) if decoder_only else ("autoencoder", PEAK_LEARNING_RATE)
    if decoder_only:
        vae.load_state_dict(torch.load(work / "autoencoder.pt", weights_only=True)["average"])
        vae.encoder.requires_grad_(False)
        seed += 1  # crops that the first training did not see
    vae = vae.to(device, memory_format=torch.channels_last_3d).train()
    kernels = [parameter for parameter in vae.parameters() if parameter.requires_grad and parameter.ndim == 5]
    matrices = [nn.Parameter(as_matrix(kernel.data)) for kernel in kernels]  # views: Muon takes matrices only
    muon = torch.optim.Muon(matrices, lr=peak, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    rest = [parameter for parameter in vae.parameters() if parameter.requires_grad and parameter.ndim != 5]
    adam = torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.99), weight_decay=0.0)
    state = State(work / f"{name}.pt", vae, muon, adam, decay=0.995)
    step = state.load()
    log = (work / f"{name}.jsonl").open("a")
    began = time.monotonic()
    while step < steps:
        rng = np.random.default_rng((seed, step))
        clip = random_crops(rng, step).to(device)
        for group in muon.param_groups + adam.param_groups:
            group["lr"] = learning_rate(step, steps, peak, warmup=100)
        with torch.autocast(device, torch.bfloat16):
            posterior = vae.encode(clip).latent_dist
            decoded = vae.decode(posterior.sample()).sample
        error = decoded.float() - clip
        reconstruction = error.abs().mean() + 2 * error.square().mean()
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).float().mean()
        loss = reconstruction + KL_WEIGHT * kl
        vae.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for matrix, kernel in zip(matrices, kernels, strict=True):
            matrix.grad = as_matrix(kernel.grad)
        muon.step()
        adam.step()
        step += 1
        state.average()
        if step % 50 == 0:
            row = {
                "step": step,
                "seconds": round(time.monotonic() - began, 1),
                "loss": round(loss.item(), 4),
                "psnr_crop": round(psnr(decoded.detach(), clip), 2),
                "kl": round(kl.item(), 3),
            }
            if step % 400 == 0:
                with state.averaged() as averaged:
                    row["psnr_full"] = round(full_frame_psnr(averaged, clips=4, seed=1), 2)
            print(json.dumps(row), file=log, flush=True)
        if step % 200 == 0 or step == steps:
            state.save(step)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4800)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--decoder-only", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    train(
        arguments.work,
        steps=arguments.steps,
        device=arguments.device,
        seed=arguments.seed,
        decoder_only=arguments.decoder_only,
    )


if __name__ == "__main__":
    main()
