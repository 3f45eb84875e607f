"""Weights that are no folder in diffusers' layout: a tiny LTX-Video in one file, tiny LoRAs for a tiny Wan.

Named as their authors name them, the other way round than diffusers' conversions do, and written down here again.
"""

import re
from pathlib import Path

import torch
from diffusers import AutoencoderKLLTXVideo
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.plan.catalog import LTX_2B_DISTILLED, WAN_A14B_LIGHTNING
from pipeline.plan.spec import Component
from tests.fake_hub import FakeHub
from tests.tiny import CHANNELS, make_tiny_checkpoint
from tests.tiny_wan import TINY_A14B, make_tiny_wan

RANK, ALPHA = 4, 1.0
TRANSFORMER_NAMES = {"proj_in": "patchify_proj", "time_embed": "adaln_single", "norm_q": "q_norm", "norm_k": "k_norm"}
VAE_NAMES = {
    "mid_block": "up_blocks.0",
    "decoder.time_embedder": "decoder.last_time_embedder",
    "decoder.scale_shift_table": "decoder.last_scale_shift_table",
    "resnets": "res_blocks",
    "latents_mean": "per_channel_statistics.mean-of-means",
    "latents_std": "per_channel_statistics.std-of-means",
}
LAYERS = {  # of one block, in a LoRA and in diffusers
    **{
        f"{theirs}_attn.{letter}": f"attn{number}.to_{'out.0' if letter == 'o' else letter}"
        for number, theirs in enumerate(("self", "cross"), start=1)
        for letter in "qkvo"
    },
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
}


def make_tiny_original(folder: Path, file: Path, *, seed: int = 0) -> Path:
    """Write the tiny checkpoint with a VAE that is built like the one of 0.9.5 and later, and both its transformer and
    its VAE once more into `file`, as Lightricks names their tensors.

    Returns:
        `folder`.
    """
    make_tiny_checkpoint(folder, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _vae().save_pretrained(folder / Component.VAE)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(_original_transformer(folder) | _original_vae(folder), file)
    return folder


def _vae() -> AutoencoderKLLTXVideo:
    """Four stages down and three up; diffusers tells this kind by the 2048 channels that leave the encoder."""
    vae = AutoencoderKLLTXVideo(
        latent_channels=CHANNELS,
        block_out_channels=(8, 8, 8, 8, 2048),
        down_block_types=("LTXVideo095DownBlock3D",) * 4,
        layers_per_block=(1, 1, 1, 1, 0),
        downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        spatio_temporal_scaling=(True,) * 4,
        decoder_block_out_channels=(8, 8, 8),
        decoder_layers_per_block=(1, 1, 1, 1),
        decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4,
        upsample_residual=(True,) * 3,
        upsample_factor=(1, 1, 1),
        timestep_conditioning=True,
        patch_size=4,
        decoder_causal=False,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    vae.latents_mean.copy_(torch.linspace(-0.5, 0.5, CHANNELS))
    vae.latents_std.copy_(torch.linspace(0.5, 2.0, CHANNELS))
    return vae


def _original_transformer(folder: Path) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in _weights(folder / Component.TRANSFORMER).items():
        for ours, theirs in TRANSFORMER_NAMES.items():
            name = re.sub(rf"\b{ours}\b", theirs, name)
        renamed[f"model.diffusion_model.{name}"] = tensor
    return renamed


def _original_vae(folder: Path) -> dict[str, Tensor]:
    """Together with the statistics that nobody needs."""
    renamed = {f"vae.per_channel_statistics.{name}": torch.zeros(CHANNELS) for name in ("channel", "mean-of-stds")}
    for name, tensor in _weights(folder / Component.VAE).items():
        name = re.sub(r"(up|down)_blocks\.(\d)(\.\w+samplers\.0)?", _renumbered, name)
        for ours, theirs in VAE_NAMES.items():
            name = name.replace(ours, theirs)
        renamed[f"vae.{name}"] = tensor
    return renamed


def _renumbered(stage: re.Match[str]) -> str:
    """Resamplers are stages of their own there, and the decoder's first stage is what diffusers calls its middle."""
    way, number, resampler = stage[1], int(stage[2]), stage[3]
    return f"{way}_blocks.{2 * number + (1 if resampler else 2 if way == 'up' else 0)}"


def _weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "diffusion_pytorch_model.safetensors")


def make_tiny_lora(transformer: Path, file: Path, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """Write a LoRA for a tiny Wan's transformer, of rank RANK and alpha ALPHA, named as Wan2.2-Lightning's are.

    Returns:
        `file`.
    """
    dice, factors = torch.Generator().manual_seed(seed), {}
    for name, weight in changed_weights(transformer).items():
        for part, shape in (("down", (RANK, weight.shape[1])), ("up", (weight.shape[0], RANK))):
            factors[f"{name}.lora_{part}.weight"] = torch.randn(shape, generator=dice).to(dtype)
        factors[f"{name}.alpha"] = torch.tensor(ALPHA)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(factors, file)
    return file


def merge(transformer: Path, file: Path) -> dict[str, Tensor]:
    """A transformer's weights in float32 with the changes of a LoRA of `make_tiny_lora`, by diffusers' names."""
    weights, factors = _weights(transformer), load_file(file)
    for name, weight in changed_weights(transformer).items():
        down, up = (factors[f"{name}.lora_{part}.weight"].float() for part in ("down", "up"))
        weights[_ours(name)] = weight.float() + factors[f"{name}.alpha"] / len(down) * (up @ down)
    return weights


def changed_weights(transformer: Path) -> dict[str, Tensor]:
    """The weights that a LoRA of `make_tiny_lora` changes, by the names it has for their layers."""
    weights = _weights(transformer)
    blocks = sorted({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    names = [f"diffusion_model.blocks.{block}.{layer}" for block in blocks for layer in LAYERS]
    return {name: weights[_ours(name)] for name in names}


def _ours(name: str) -> str:
    _, blocks, block, layer = name.split(".", 3)
    return f"{blocks}.{block}.{LAYERS[layer]}.weight"


def serve_original(hub: FakeHub, place: Path) -> Path:
    """Have a hub serve a tiny `ltx-2b-distilled`, its file among others; a folder with all of its weights."""
    (file,) = LTX_2B_DISTILLED.files
    folder = make_tiny_original(place / "folder", place / "file.safetensors", seed=3)
    hub.add(LTX_2B_DISTILLED.repository, folder)
    content = (place / "file.safetensors").read_bytes()
    hub.files[file.repository] = {file.name: content, "ltxv-13b.safetensors": content, "model_index.json": b"{}"}
    return folder


def serve_lightning(hub: FakeHub, place: Path) -> Path:
    """Have a hub serve a tiny `wan-a14b-lightning`, its LoRAs among others; a folder with the merged weights."""
    folder = make_tiny_wan(place / "folder", TINY_A14B)
    hub.add(WAN_A14B_LIGHTNING.repository, folder)
    served = dict.fromkeys(("README.md", "flow.json", "I2V/high_noise_model.safetensors"), b"nothing")
    for seed, (expert, lora) in enumerate(WAN_A14B_LIGHTNING.loras.items()):
        file = make_tiny_lora(folder / expert, place / f"{expert}.safetensors", seed=seed)
        served[lora.name] = file.read_bytes()
        save_file(merge(folder / expert, file), folder / expert / "diffusion_pytorch_model.safetensors")
    hub.files[lora.repository] = served
    return folder
