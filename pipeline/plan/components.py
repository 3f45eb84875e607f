"""The networks of which the catalog's checkpoints are made, with their exact counts.

Configurations are those of the conversion scripts that made the published folders: diffusers'
scripts/convert_ltx_to_diffusers.py and scripts/convert_wan_to_diffusers.py, and config.json of google/t5-v1_1-xxl and
google/umt5-xxl. Every number is printed by `python -m tests.bench.calibrate_memory`, which builds each network on the
meta device, and kept true by tests/plan/test_components.py.
"""

from pipeline.plan.networks import Autoencoder, TextEncoder, Transformer

_LTX_KEPT = ("proj_in", "proj_out", "time_embed", "caption_projection")
_WAN_KEPT = ("condition_embedder", "proj_out")  # 1.7 % of the weights; without them int4 errs 4.6 times less
_T5_XXL = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}
_LTX_TRANSFORMER = {
    "in_channels": 128,
    "out_channels": 128,
    "num_attention_heads": 32,
    "caption_channels": 4096,
}
_WAN_TRANSFORMER = {
    "patch_size": (1, 2, 2),
    "attention_head_dim": 128,
    "text_dim": 4096,
    "freq_dim": 256,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
}

T5_XXL = TextEncoder(
    class_name="T5EncoderModel",
    config=_T5_XXL,
    parameters=4_762_310_656,
    float32_scale=2.0,
    block_list="encoder.block",
    quantizable=4_630_511_616,
    quantizable_rows=983_040,
    blocks=24,
    block_parameters=192_948_224,
    operations=2_396_591_751_168,
    live_bytes=37_750_784,
)
UMT5_XXL = TextEncoder(
    class_name="UMT5EncoderModel",
    config=_T5_XXL | {"vocab_size": 256384},
    parameters=5_680_910_336,
    float32_scale=2.0,
    block_list="encoder.block",
    quantizable=4_630_511_616,
    quantizable_rows=983_040,
    blocks=24,
    block_parameters=192_948_224,
    operations=4_844_723_109_888,
    live_bytes=100_667_392,
)
LTX_2B_TRANSFORMER = Transformer(
    class_name="LTXVideoTransformer3DModel",
    config=_LTX_TRANSFORMER | {"attention_head_dim": 64, "cross_attention_dim": 2048, "num_layers": 28},
    parameters=1_923_385_472,
    float32_scale=1.754,
    block_list="transformer_blocks",
    kept=_LTX_KEPT,
    quantizable=1_879_048_192,
    quantizable_rows=745_472,
    blocks=28,
    block_parameters=67_155_968,
    pass_operations=(126_761_304_064, 3_348_103_168, 229_376),
    pass_bytes=(3_200_516, 65_804),
    given_bytes=(3_147_264, 119_056),
)
LTX_13B_TRANSFORMER = Transformer(
    class_name="LTXVideoTransformer3DModel",
    config=_LTX_TRANSFORMER | {"attention_head_dim": 128, "cross_attention_dim": 4096, "num_layers": 48},
    parameters=13_042_569_344,
    float32_scale=1.753,
    block_list="transformer_blocks",
    kept=_LTX_KEPT,
    quantizable=12_884_901_888,
    quantizable_rows=2_555_904,
    blocks=48,
    block_parameters=268_529_664,
    pass_operations=(842_050_568_192, 22_752_002_048, 786_432),
    pass_bytes=(4_302_340, 131_340),
    given_bytes=(4_195_840, 237_840),
)
LTX_VAE = Autoencoder(  # of LTX-Video 0.9.5 and later
    class_name="AutoencoderKLLTXVideo",
    config={
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
        "upsample_factor": (2,) * 3,
        "timestep_conditioning": True,
        "spatial_compression_ratio": 32,
        "temporal_compression_ratio": 8,
    },
    parameters=1_246_913_522,
    float32_scale=1.387,
    decoder_parameters=552_814_641,
    decode_operations=(-7112386.0, 10015488.0, 0.0),
    decode_bytes=(-695.997, 800.25),
)
WAN_A14B_TRANSFORMER = Transformer(  # each of the two experts
    class_name="WanTransformer3DModel",
    config=_WAN_TRANSFORMER
    | {"in_channels": 16, "out_channels": 16, "num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40},
    parameters=14_288_491_584,
    float32_scale=1.592,
    block_list="blocks",
    kept=_WAN_KEPT,
    quantizable=14_050_918_400,
    quantizable_rows=2_396_160,
    float32=29_184_000,
    blocks=40,
    block_parameters=351_394_304,
    pass_operations=(2_196_171_653_120, 24_328_273_920, 819_200),
    pass_bytes=(20_117_508, 113_284),
    given_bytes=(9_437_184, 328_324),
)
WAN_5B_TRANSFORMER = Transformer(
    class_name="WanTransformer3DModel",
    config=_WAN_TRANSFORMER
    | {"in_channels": 48, "out_channels": 48, "num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30},
    parameters=4_999_787_712,
    float32_scale=1.999,
    block_list="blocks",
    kept=_WAN_KEPT,
    quantizable=4_907_335_680,
    quantizable_rows=1_259_520,
    float32=10_973_184,
    blocks=30,
    block_parameters=163_656_704,
    pass_operations=(602_502_856_704, 8_873_312_256, 368_640),
    pass_bytes=(7_456_772, 82_816),
    given_bytes=(7_340_032, 199_556),
)
WAN_21_VAE = Autoencoder(
    class_name="AutoencoderKLWan",
    config={"base_dim": 96, "z_dim": 16},
    parameters=126_892_531,
    float32_scale=1.927,
    decoder_parameters=73_295_603,
    decode_operations=(-23031360.0, 33779528.0, 0.375),
    decode_bytes=(10145.0, 0.5),
    cache_bytes=4729.0,
)  # the class's defaults are Wan2.1's; the two that are not Wan2.2's are said
WAN_22_VAE = Autoencoder(
    class_name="AutoencoderKLWan",
    config={
        "base_dim": 160,
        "z_dim": 48,
        "is_residual": True,
        "in_channels": 12,
        "out_channels": 12,
        "decoder_base_dim": 256,
        "scale_factor_temporal": 4,
        "scale_factor_spatial": 16,
        "patch_size": 2,
        "latents_mean": (0.0,) * 48,
        "latents_std": (1.0,) * 48,
    },
    parameters=704_688_668,
    float32_scale=2.0,
    decoder_parameters=555_051_580,
    decode_operations=(-50800128.0, 73576594.0, 0.0625),
    decode_bytes=(10788.875, 0.375),
    cache_bytes=3568.75,
)
MINIATURE_TEXT_ENCODER = TextEncoder(
    class_name="T5EncoderModel",
    config={
        "vocab_size": 133,
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 256,
        "num_layers": 2,
        "num_heads": 4,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    },
    parameters=345_472,
    float32_scale=1.998,
    block_list="encoder.block",
    quantizable=327_680,
    quantizable_rows=2_304,
    blocks=2,
    block_parameters=164_224,
    operations=22_020_096,
    live_bytes=106_752,
)
MINIATURE_TRANSFORMER = Transformer(
    class_name="LTXVideoTransformer3DModel",
    config={
        "in_channels": 64,
        "out_channels": 64,
        "num_attention_heads": 8,
        "attention_head_dim": 32,
        "cross_attention_dim": 256,
        "num_layers": 7,
        "caption_channels": 128,
    },
    parameters=8_040_000,
    float32_scale=1.753,
    block_list="transformer_blocks",
    kept=_LTX_KEPT,
    quantizable=7_340_032,
    quantizable_rows=23_296,
    blocks=7,
    block_parameters=1_054_464,
    pass_operations=(66_060_288, 13_139_968, 7_168),
    pass_bytes=(31_428, 8_332),
    given_bytes=(24_768, 14_992),
)
MINIATURE_VAE = Autoencoder(
    class_name="AutoencoderKLLTXVideo",
    config={
        "latent_channels": 64,
        "block_out_channels": (32, 64, 128, 128),
        "down_block_types": ("LTXVideo095DownBlock3D",) * 3,
        "layers_per_block": (1, 1, 1, 1),
        "downsample_type": ("spatiotemporal",) * 3,
        "spatio_temporal_scaling": (True,) * 3,
        "decoder_block_out_channels": (32, 64, 128),
        "decoder_layers_per_block": (2, 2, 2, 2),
        "decoder_spatio_temporal_scaling": (True,) * 3,
        "decoder_inject_noise": (False,) * 4,
        "upsample_residual": (True,) * 3,
        "upsample_factor": (1, 2, 2),
        "patch_size": 4,
    },
    parameters=7_533_689,
    float32_scale=1.374,
    decoder_parameters=5_130_928,
    decode_operations=(-171072.0, 214704.0, 0.0),
    decode_bytes=(-171.0, 196.125),
)
