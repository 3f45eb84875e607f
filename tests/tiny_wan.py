"""Wan checkpoints in an instant: the real classes, a layer or two each, random weights, no network.

The fixture `tiny_wan` in tests/models/conftest.py puts them in the place of `wan-5b`, `wan-a14b` and `anyflow-1.3b`.
"""

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from diffusers import AnyFlowFARTransformer3DModel, AutoencoderKLWan, WanTransformer3DModel
from diffusers.schedulers import FlowMapEulerDiscreteScheduler, UniPCMultistepScheduler
from safetensors.torch import save_file
from transformers import UMT5Config, UMT5EncoderModel

from pipeline.plan.catalog import ANYFLOW_1_3B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.spec import Component, Family, ModelSpec, VideoShape
from tests.tiny import TEXT_WIDTH, word_tokenizer

ROWS, COLUMNS = 4, 6  # latents of a small picture


def shrink(spec: ModelSpec) -> ModelSpec:
    """A catalog entry with a tiny checkpoint's configurations and about its costs, looked for beside the program, that
    takes tiny pictures."""
    transformer = replace(
        MINIATURE.transformer,
        class_name=spec.transformer.class_name,
        config=_transformer_config(spec),
        block_list="blocks",
        blocks=2,
        kept=spec.transformer.kept,
    )
    tiny = {
        Component.TEXT_ENCODER: replace(MINIATURE.text_encoder, class_name="UMT5EncoderModel", config=TEXT_CONFIG),
        Component.TRANSFORMER: transformer,
        Component.TRANSFORMER_2: transformer,
        Component.VAE: replace(MINIATURE.vae, class_name="AutoencoderKLWan", config=_vae_config(spec)),
    }
    networks = MappingProxyType({component: tiny[component] for component in spec.networks})
    return replace(spec, repository="", networks=networks, smallest_side_pixels=spec.pixel_multiple)


def _transformer_config(spec: ModelSpec) -> dict[str, Any]:
    return {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "in_channels": spec.latent_channels,
        "out_channels": spec.latent_channels,
        "text_dim": TEXT_WIDTH,
        "freq_dim": 32,
        "ffn_dim": 32,
        "num_layers": 2,
        "cross_attn_norm": True,
        "rope_max_seq_len": 64,
    }


def _vae_config(spec: ModelSpec) -> dict[str, Any]:
    """The VAE of Wan2.1, 8 pixels a latent, or the one that came with TI2V-5B, 16 pixels and patches of 2."""
    channels = spec.latent_channels
    larger = {"is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16}
    return {
        "base_dim": 16,
        "z_dim": channels,
        "dim_mult": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "temperal_downsample": [False, True, True],
        # so that forgetting to undo them would show
        "latents_mean": torch.linspace(-0.5, 0.5, channels).tolist(),
        "latents_std": torch.linspace(2.0, 6.0, channels).tolist(),
        **(larger if spec.latent_pixels == 16 else {}),
    }


TEXT_CONFIG = {"vocab_size": 32, "d_model": TEXT_WIDTH, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
TINY_5B, TINY_A14B = shrink(WAN_5B), shrink(WAN_A14B)
TINY_ANYFLOW = shrink(ANYFLOW_1_3B)
TINY = (TINY_5B, TINY_A14B, TINY_ANYFLOW)


def small_shape(spec: ModelSpec) -> VideoShape:
    """The picture of ROWS by COLUMNS latents."""
    return VideoShape(width=COLUMNS * spec.latent_pixels, height=ROWS * spec.latent_pixels)


def make_tiny_wan(folder: Path, spec: ModelSpec, *, seed: int = 0, heads: int = 2) -> Path:
    """Write a checkpoint in diffusers' folder layout on the grid of `spec`; the same seed, the same weights.

    The scheduler's shift is not the catalog's, as in the published folder of T2V-A14B.

    Returns:
        `folder`.
    """
    channels = spec.latent_channels
    kind, scheduler = (
        WanTransformer3DModel,
        UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.5),
    )
    if spec.family is Family.ANYFLOW:
        kind, scheduler = AnyFlowFARTransformer3DModel, FlowMapEulerDiscreteScheduler(shift=2.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoencoderKLWan(**_vae_config(spec)).save_pretrained(folder / Component.VAE)
        for component in (Component.TRANSFORMER, Component.TRANSFORMER_2)[: spec.experts]:
            kind(**_transformer_config(spec) | {"num_attention_heads": heads}).save_pretrained(folder / component)
        UMT5EncoderModel(UMT5Config(**TEXT_CONFIG)).save_pretrained(folder / Component.TEXT_ENCODER)
        word_tokenizer().save_pretrained(folder / "tokenizer")
        scheduler.save_pretrained(folder / "scheduler")
        (folder / "preview").mkdir()
        pixels = spec.frame_stride * 4 * 4 * 3
        latent_map = {"weight": torch.randn(channels, pixels), "bias": torch.full((pixels,), 0.5)}
        save_file(latent_map, folder / "preview" / "latent_rgb.safetensors")
    index = {
        "_class_name": "AnyFlowFARPipeline" if spec.family is Family.ANYFLOW else "WanPipeline",
        "scheduler": ["diffusers", type(scheduler).__name__],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": ["diffusers", kind.__name__],
        "transformer_2": ["diffusers", kind.__name__] if spec.experts == 2 else [None, None],
        "vae": ["diffusers", "AutoencoderKLWan"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
