"""What the catalog says about a checkpoint is what the real classes say, counted without weights on the meta device."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest
import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5Config, T5EncoderModel

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import CATALOG, LTX_2B, MINIATURE, Component, ModelSpec, find_model
from pipeline.plan.chunks import SHARED_LATENTS
from pipeline.plan.duration import decode_flops, denoise_flops
from pipeline.training.autoencoder import CONFIG as MINIATURE_VAE
from pipeline.training.sentences import build_tokenizer
from pipeline.training.teacher import Teacher

# config.json of google/t5-v1_1-xxl, the encoder of every LTX-Video
T5_XXL = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}
# The class's own defaults, written out: scripts/convert_ltx_to_diffusers.py makes 2B checkpoints without arguments
LTX_2B_TRANSFORMER = {
    "in_channels": 128,
    "out_channels": 128,
    "num_layers": 28,
    "num_attention_heads": 32,
    "attention_head_dim": 64,
    "cross_attention_dim": 2048,
    "caption_channels": 4096,
}
# What scripts/convert_ltx_to_diffusers.py makes of version 0.9.5
LTX_095_VAE = {
    "latent_channels": 128,
    "block_out_channels": (128, 256, 512, 1024, 2048),
    "down_block_types": ("LTXVideo095DownBlock3D",) * 4,
    "decoder_block_out_channels": (256, 512, 1024),
    "layers_per_block": (4, 6, 6, 2, 2),
    "decoder_layers_per_block": (5, 5, 5, 5),
    "spatio_temporal_scaling": (True,) * 4,
    "decoder_spatio_temporal_scaling": (True,) * 3,
    "decoder_inject_noise": (False,) * 4,
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    "upsample_residual": (True,) * 3,
    "upsample_factor": (2, 2, 2),
    "timestep_conditioning": True,
    "spatial_compression_ratio": 32,
    "temporal_compression_ratio": 8,
}


def build_ltx_2b() -> dict[Component, nn.Module]:
    return {
        Component.TEXT_ENCODER: T5EncoderModel(T5Config(**T5_XXL)),
        Component.TRANSFORMER: LTXVideoTransformer3DModel(**LTX_2B_TRANSFORMER),
        Component.VAE: AutoencoderKLLTXVideo(**LTX_095_VAE),
    }


def build_miniature() -> dict[Component, nn.Module]:
    teacher = Teacher(MINIATURE_VAE["latent_channels"], len(build_tokenizer()))
    return {
        Component.TEXT_ENCODER: teacher.text_encoder,
        Component.TRANSFORMER: teacher.transformer,
        Component.VAE: AutoencoderKLLTXVideo(**MINIATURE_VAE),
    }


@pytest.fixture(scope="module")
def real() -> Mapping[str, dict[Component, nn.Module]]:
    """Every checkpoint of the catalog as its real classes, without weights."""
    with torch.device("meta"):
        return MappingProxyType({LTX_2B.key: build_ltx_2b(), MINIATURE.key: build_miniature()})


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
@pytest.mark.parametrize("component", Component)
def test_parameter_counts_are_exactly_those_of_the_real_classes(
    spec: ModelSpec, component: Component, real: Mapping[str, dict[Component, nn.Module]]
) -> None:
    counted = sum(parameter.numel() for parameter in real[spec.key][component].parameters())
    assert spec.parameters[component] == counted


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_widths_and_grids_are_those_of_the_real_classes(
    spec: ModelSpec, real: Mapping[str, dict[Component, nn.Module]]
) -> None:
    transformer, vae = real[spec.key][Component.TRANSFORMER], real[spec.key][Component.VAE]
    config = transformer.config
    assert spec.layers == config.num_layers
    assert spec.width == config.num_attention_heads * config.attention_head_dim
    assert spec.text_width == config.caption_channels == real[spec.key][Component.TEXT_ENCODER].config.d_model
    assert spec.latent_channels == config.in_channels == vae.config.latent_channels
    assert (spec.pixel_multiple, spec.frame_stride) == (
        vae.spatial_compression_ratio,
        vae.temporal_compression_ratio,
    )


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_decoding_costs_what_the_flop_counter_counts(
    spec: ModelSpec, real: Mapping[str, dict[Component, nn.Module]]
) -> None:
    shape, latents = spec.shapes[0], spec.decode_window_latents
    height, width = shape.height // spec.pixel_multiple, shape.width // spec.pixel_multiple
    vae = real[spec.key][Component.VAE]
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        window = torch.empty(1, spec.latent_channels, latents, height, width)
        vae.decode(window, torch.zeros(1) if vae.config.timestep_conditioning else None)
    assert decode_flops(spec, shape, latents) == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_denoising_costs_what_the_flop_counter_counts_but_for_the_sentence(
    spec: ModelSpec, real: Mapping[str, dict[Component, nn.Module]]
) -> None:
    shape = spec.shapes[0]
    latents = spec.latents_of(spec.native_frames)
    tokens = spec.tokens_of(shape, latents)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        real[spec.key][Component.TRANSFORMER](
            hidden_states=torch.empty(1, tokens, spec.latent_channels),
            encoder_hidden_states=torch.empty(1, spec.text_tokens, spec.text_width),
            timestep=torch.empty(1),
            encoder_attention_mask=torch.ones(1, spec.text_tokens),
            num_frames=latents,
            height=shape.height // spec.pixel_multiple,
            width=shape.width // spec.pixel_multiple,
        )
    # Cross-attention reads a sentence of fewer tokens than the formula's linear layers assume: a tenth to a fifth less.
    assert denoise_flops(spec, tokens) == pytest.approx(counter.get_total_flops(), rel=0.2)


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_every_entry_lies_on_its_own_grid(spec: ModelSpec) -> None:
    for frames in (spec.native_frames, spec.overlap_frames, spec.longest_overlap_frames):
        assert spec.frames_of(spec.latents_of(frames)) == frames
    for side in (spec.smallest_side_pixels, spec.largest_side_pixels):
        assert side % spec.pixel_multiple == 0
    for shape in spec.shapes:
        for side in (shape.width, shape.height):
            assert side % spec.pixel_multiple == 0
            assert spec.smallest_side_pixels <= side <= spec.largest_side_pixels
    assert spec.overlap_frames <= spec.longest_overlap_frames < spec.native_frames
    assert spec.decode_window_latents > SHARED_LATENTS


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_a_wide_a_square_and_a_tall_shape_are_offered(spec: ModelSpec) -> None:
    assert sorted(shape.name for shape in spec.shapes) == ["square", "tall", "wide"]


def test_frames_and_latents_are_each_others_inverse() -> None:
    assert [MINIATURE.latents_of(MINIATURE.frames_of(latents)) for latents in range(1, 200)] == list(range(1, 200))


@pytest.mark.parametrize(("asked", "nearest"), [(-5, 9), (0, 9), (12, 9), (14, 17), (96, 97), (97, 97), (1440, 1441)])
def test_nearest_frames_is_on_the_grid_and_next_to_what_was_asked(asked: float, nearest: int) -> None:
    assert MINIATURE.nearest_frames(asked) == nearest


def test_an_unknown_model_is_refused_with_the_list_of_models() -> None:
    with pytest.raises(InvalidRequest, match="miniature, ltx-2b") as refusal:
        find_model("sora")
    assert refusal.value.field == "model"
