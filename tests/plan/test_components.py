"""Every number in `components.py` is what the real classes say at full size, counted without weights."""

import json
import math
from collections.abc import Mapping
from typing import Any

import diffusers
import pytest
import torch

from pipeline.gpu.loading import ASSETS
from pipeline.plan import components
from pipeline.plan.catalog import CATALOG, MINIATURE
from pipeline.plan.networks import Autoencoder, CausalTransformer, Network, TextEncoder, Transformer
from pipeline.plan.spec import Component
from pipeline.training.autoencoder import CONFIG, LATENT_CHANNELS
from pipeline.training.sentences import build_tokenizer
from pipeline.training.teacher import TEXT_ENCODER, TRANSFORMER, Teacher
from tests import truth

NETWORKS = {name: value for name, value in vars(components).items() if isinstance(value, Network)}
STREAMED = {name: network for name, network in NETWORKS.items() if network.block_list}
CAUSAL = {name: network for name, network in NETWORKS.items() if isinstance(network, CausalTransformer)}
TRANSFORMERS = {name: n for name, n in NETWORKS.items() if isinstance(n, Transformer) and name not in CAUSAL}
AUTOENCODERS = {name: network for name, network in NETWORKS.items() if isinstance(network, Autoencoder)}
TEXT_ENCODERS = {name: network for name, network in NETWORKS.items() if isinstance(network, TextEncoder)}
SIZE = (4, 20, 28)  # latents, rows, columns: none that the constants were fitted to


def text_tokens(network: Network) -> int:
    return next(spec.text_tokens for spec in CATALOG.values() if network in spec.networks.values())


def plain(value: object) -> object:
    """A configuration as JSON gives it back: tuples are lists."""
    return json.loads(json.dumps(value))


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the library's own notes."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def test_every_network_is_used_by_a_checkpoint_and_every_checkpoint_uses_these() -> None:
    used = [network for spec in CATALOG.values() for network in spec.networks.values()]
    assert all(network in used for network in NETWORKS.values())
    assert all(network in NETWORKS.values() for network in used)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_weights_are_counted_exactly(network: Network) -> None:
    module = truth.build(network)
    assert network.parameters == truth.count(module)
    assert network.float32 == truth.count_float32(module)


@pytest.mark.parametrize("network", STREAMED.values(), ids=STREAMED)
def test_what_is_quantized_and_what_is_streamed_is_counted_exactly(network: Network) -> None:
    module = truth.build(network)
    layers = truth.quantizable_layers(module, network)
    blocks = list(module.get_submodule(network.block_list).children())
    assert network.quantizable == sum(layer.weight.numel() for layer in layers)
    assert network.quantizable_rows == sum(layer.out_features for layer in layers)
    assert network.blocks == len(blocks)
    assert network.block_parameters == max(truth.count(block) for block in blocks)


@pytest.mark.parametrize("network", STREAMED.values(), ids=STREAMED)
def test_blocks_are_nearly_equal_and_hold_every_quantized_layer(network: Network) -> None:
    """What `block_bytes` assumes: a block's share of the quantized weights is the whole by the number of blocks."""
    blocks = list(truth.build(network).get_submodule(network.block_list).children())
    shares = {sum(layer.weight.numel() for layer in truth.quantizable_layers(block, network)) for block in blocks}
    assert shares == {network.quantizable // network.blocks}
    assert min(truth.count(block) for block in blocks) >= 0.999 * network.block_parameters


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_modules_that_keep_their_precision_exist(network: Network) -> None:
    names = dict(truth.build(network).named_modules())
    assert all(kept in names for kept in network.kept)


@pytest.mark.parametrize("network", AUTOENCODERS.values(), ids=AUTOENCODERS)
def test_a_decoder_is_counted_without_its_encoder(network: Autoencoder) -> None:
    assert network.decoder_parameters == truth.count_decoder(truth.build(network)) < network.parameters
    if network.class_name == "AutoencoderKLWan":
        pixels = 30 * 52 * truth.pixels_per_latent(network) ** 2
        assert network.cache_bytes * pixels == truth.cache_bytes(network, height=30, width=52)
    else:
        assert network.cache_bytes == 0


@pytest.mark.parametrize("network", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_a_pass_costs_exactly_what_the_counter_counts(network: Transformer) -> None:
    patch = 4 if network.class_name == "WanTransformer3DModel" else 1
    latents, rows, columns = SIZE
    run = truth.pass_of(network, SIZE, text_tokens=text_tokens(network))
    assert network.operations(latents * rows * columns // patch) == truth.operations(run)


@pytest.mark.parametrize("network", CAUSAL.values(), ids=CAUSAL)
def test_a_block_costs_exactly_what_the_counter_counts(network: CausalTransformer) -> None:
    """What it was given besides costs no more than the pairs of tokens that see one another."""
    block = truth.BlockByBlock(network, (3, *SIZE[1:]), text_tokens=text_tokens(network))
    latent = SIZE[1] * SIZE[2] // 4
    tokens = 3 * latent
    assert network.operations(tokens) == truth.operations(block.denoise)
    truth.operations(lambda: block.read(7))
    kept = 6 * latent + latent // network.compression
    assert block.kept_bytes() == network.kept_bytes * kept
    assert network.operations(tokens, pairs=tokens * (tokens + kept)) == truth.operations(block.denoise)


@pytest.mark.parametrize("network", CAUSAL.values(), ids=CAUSAL)
def test_reading_costs_what_the_counter_counts(network: CausalTransformer) -> None:
    block = truth.BlockByBlock(network, (3, *SIZE[1:]), text_tokens=text_tokens(network))
    latent = SIZE[1] * SIZE[2] // 4
    sizes = [latent // network.compression, 3 * latent, 3 * latent]  # blocks of 1, 3 and 3 latents
    pairs = sum(size * sum(sizes[: index + 1]) for index, size in enumerate(sizes))
    counted = truth.operations(lambda: block.read(7))
    assert network.operations(sum(sizes), pairs=pairs) == pytest.approx(counted, rel=0.005)


@pytest.mark.parametrize("network", CAUSAL.values(), ids=CAUSAL)
def test_what_a_causal_transformer_reads_whole_is_in_its_configuration(network: CausalTransformer) -> None:
    config: Any = truth.build(network).config
    assert network.whole_blocks == config.full_chunk_limit - 1
    patch, compressed = (math.prod(size) for size in (config.patch_size, config.compressed_patch_size))
    assert network.compression == compressed // patch


@pytest.mark.parametrize("network", AUTOENCODERS.values(), ids=AUTOENCODERS)
def test_decoding_costs_what_the_counter_counts(network: Autoencoder) -> None:
    latents, rows, columns = SIZE
    pixels = rows * columns * truth.pixels_per_latent(network) ** 2
    run = truth.decode_of(network, latents=latents, height=rows, width=columns)
    assert network.operations(pixels, latents) == pytest.approx(truth.operations(run), rel=0.005)


@pytest.mark.parametrize("network", AUTOENCODERS.values(), ids=AUTOENCODERS)
@pytest.mark.parametrize("latents", [2, 3])
def test_encoding_frames_costs_what_the_counter_counts(network: Autoencoder, latents: int) -> None:
    _, rows, columns = SIZE
    pixels = rows * columns * truth.pixels_per_latent(network) ** 2
    run = truth.encode_frames_of(network, latents=latents, height=rows, width=columns)
    assert network.encode_operations_of(pixels, latents) == pytest.approx(truth.operations(run), rel=0.005)
    assert network.encode_live_bytes(pixels, latents) == pytest.approx(truth.peak_bytes(run), rel=0.05)


@pytest.mark.parametrize("network", TEXT_ENCODERS.values(), ids=TEXT_ENCODERS)
def test_a_sentence_costs_exactly_what_the_counter_counts(network: TextEncoder) -> None:
    run = truth.encode_of(network, tokens=text_tokens(network))
    assert network.operations == truth.operations(run)
    assert network.live_bytes == truth.peak_bytes(run)


def test_two_sentences_in_a_batch_cost_twice_one() -> None:
    """What the forecast of a guided step assumes."""
    network = components.LTX_2B_TRANSFORMER
    one, two = (
        truth.operations(truth.pass_of(network, (2, 4, 6), text_tokens=text_tokens(network), batch=n)) for n in (1, 2)
    )
    assert two == 2 * one


def test_the_miniature_is_what_was_trained() -> None:
    networks = MINIATURE.networks
    transformer, text = networks[Component.TRANSFORMER].config, networks[Component.TEXT_ENCODER].config
    channels = {"in_channels": LATENT_CHANNELS, "out_channels": LATENT_CHANNELS}
    assert transformer == TRANSFORMER | channels
    assert text == TEXT_ENCODER | {"vocab_size": len(build_tokenizer()), "tie_word_embeddings": False}
    with torch.device("meta"):
        trained: Any = diffusers.AutoencoderKLLTXVideo(**CONFIG)
        teacher = Teacher(LATENT_CHANNELS, len(build_tokenizer()))
    built: Any = truth.build(networks[Component.VAE])
    assert public(built.config) == public(trained.config)
    assert truth.count(teacher.transformer) == networks[Component.TRANSFORMER].parameters
    assert truth.count(teacher.text_encoder) == networks[Component.TEXT_ENCODER].parameters


@pytest.mark.parametrize("component", MINIATURE.networks)
def test_the_miniature_is_what_ships(component: Component) -> None:
    network = MINIATURE.networks[component]
    shipped = json.loads((ASSETS / MINIATURE.key / component / "config.json").read_text(encoding="utf-8"))
    said = dict(network.config)
    said.pop("tie_word_embeddings", None)  # an encoder has one table of words, tied or not
    built: Any = truth.build(network)
    config = said if component is Component.TEXT_ENCODER else said | public(built.config)
    assert {key: shipped[key] for key in config} == plain(config)
