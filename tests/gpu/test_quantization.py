"""Weights in 8 or 4 bits: close to the original, kept on disk once, opened again exactly, never with the original."""

import gc
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from optimum.quanto import quantize
from optimum.quanto.library.extensions import extension
from optimum.quanto.tensor.packed import PackedTensor
from optimum.quanto.tensor.weights.tinygemm import TinyGemmPackedTensor
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import ModelUnavailable
from pipeline.gpu import loading, quantization
from pipeline.gpu.loading import Checkpoint, find_checkpoint
from pipeline.gpu.quantization import check_room, kept_folder, open_quantized
from pipeline.plan.catalog import WAN_A14B
from pipeline.plan.components import WAN_A14B_TRANSFORMER
from pipeline.plan.memory import Precision
from pipeline.plan.networks import Network
from pipeline.plan.spec import Component, ModelSpec
from tests.tiny_wan import TINY_A14B, make_tiny_wan

CPU = torch.device("cpu")
SMALLER = [Precision.FP8, Precision.INT8, Precision.INT4]
LARGEST_ERRORS = {Precision.FP8: 0.06, Precision.INT8: 0.02, Precision.INT4: 0.2}  # of random weights, relative


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized")
    make_tiny_wan(folder / TINY_A14B.key, TINY_A14B)
    return folder


@pytest.fixture
def checkpoint(assets: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setattr(loading, "ASSETS", assets)
    return find_checkpoint(TINY_A14B)


def network(spec: ModelSpec = WAN_A14B, component: Component = Component.TRANSFORMER) -> Network:
    return spec.networks[component]


def open_transformer(
    checkpoint: Checkpoint, precision: Precision, component: Component = Component.TRANSFORMER
) -> nn.Module:
    return open_quantized(checkpoint, component, network(), precision, torch.float32, CPU)


@torch.no_grad()
def flow(transformer: nn.Module) -> Tensor:
    dice = torch.Generator().manual_seed(4)
    latents = torch.randn(1, 16, 2, 4, 4, generator=dice)
    text = torch.randn(1, 8, 16, generator=dice)
    result: Tensor = transformer(latents, torch.tensor([500.0]), text, return_dict=False)[0]
    return result


@pytest.mark.parametrize("precision", SMALLER)
def test_a_quantized_transformer_does_almost_what_the_original_does(
    checkpoint: Checkpoint, precision: Precision
) -> None:
    original = flow(checkpoint.load(Component.TRANSFORMER, torch.float32))
    error = (flow(open_transformer(checkpoint, precision)) - original).norm() / original.norm()
    assert 1e-4 < error < LARGEST_ERRORS[precision]


@pytest.mark.parametrize("precision", SMALLER)
def test_what_was_kept_opens_exactly_as_it_was_made(checkpoint: Checkpoint, precision: Precision) -> None:
    first, again = (flow(open_transformer(checkpoint, precision)) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("shape", [(8,), (6, 5)])
def test_weights_in_4_bits_need_no_compiler(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "load", lambda **_: pytest.fail("quanto compiles"))
    values = torch.randint(16, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    assert torch.equal(PackedTensor.pack(values, 4).unpack(), values)


@pytest.mark.parametrize("precision", quantization.QUANTO)
def test_what_is_kept_is_never_laid_out_for_the_processor_and_the_same(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be unpacked by large products."""
    layers = nn.Sequential(nn.Linear(256, 128, bias=False, dtype=torch.bfloat16))
    weight = layers[0].weight.detach().clone()
    quantize(layers, weights=quantization.QUANTO[precision])
    layer, expected, kept = layers[0], dict[str, Tensor](), dict[str, Tensor]()
    layer.freeze()
    layer.weight.save_to_state_dict(expected, "", keep_vars=False)
    monkeypatch.setattr(TinyGemmPackedTensor, "unpack", lambda _: pytest.fail("unpacked"))
    quantization._quantized(weight, layer).save_to_state_dict(kept, "", keep_vars=False)
    assert kept.keys() == expected.keys()
    assert all(torch.equal(kept[name], expected[name]) for name in kept)


@pytest.mark.parametrize("precision", SMALLER)
def test_it_is_made_once_and_the_original_is_not_asked_for_again(
    checkpoint: Checkpoint, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flow(open_transformer(checkpoint, precision))

    def refuse(*_: object) -> None:
        pytest.fail("the original was read")

    monkeypatch.setattr(Checkpoint, "tensors", refuse)
    monkeypatch.setattr(Checkpoint, "load", refuse)
    assert torch.equal(made, flow(open_transformer(checkpoint, precision)))


@pytest.mark.parametrize("precision", SMALLER)
def test_experts_precisions_and_other_weights_are_kept_apart(
    checkpoint: Checkpoint, precision: Precision, tmp_path: Path
) -> None:
    expert, other = (
        open_transformer(checkpoint, precision, c) for c in (Component.TRANSFORMER, Component.TRANSFORMER_2)
    )
    assert not torch.equal(flow(expert), flow(other))
    retrained = Checkpoint(TINY_A14B.key, make_tiny_wan(tmp_path / "other", TINY_A14B, seed=1))
    assert not torch.equal(flow(expert), flow(open_transformer(retrained, precision)))
    folders = {kept_folder(checkpoint, Component.TRANSFORMER, p, torch.float32) for p in SMALLER}
    assert len(folders) == 3
    assert kept_folder(checkpoint, Component.TRANSFORMER, precision, torch.float16) not in folders


@pytest.mark.parametrize(
    ("precision", "size"), [(Precision.FP8, 1024), (Precision.INT8, 1024 + 128), (Precision.INT4, 512 + 256)]
)
def test_what_is_kept_is_as_small_as_it_says(checkpoint: Checkpoint, precision: Precision, size: int) -> None:
    """A layer of 32 by 32: a scale a row, in 4 bits a shift, too; what the catalog excludes stays as it is."""
    open_transformer(checkpoint, precision)
    folder = kept_folder(checkpoint, Component.TRANSFORMER, precision, torch.float32)
    kept = {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}
    linear = [name for name in kept if name.startswith("blocks.0.ffn.net.0.proj.weight")]
    assert sum(kept[name].nbytes for name in linear) == size
    assert kept["condition_embedder.time_embedder.linear_1.weight"].dtype == torch.float32
    assert kept["proj_out.weight"].dtype == torch.float32


def test_layers_are_kept_in_files_of_bounded_size_and_open_all_the_same(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = flow(open_transformer(checkpoint, Precision.INT8))
    folder = kept_folder(checkpoint, Component.TRANSFORMER, Precision.INT8, torch.float32)
    shutil.rmtree(folder)
    monkeypatch.setattr(quantization, "SHARD_BYTES", 2000)
    assert torch.equal(whole, flow(open_transformer(checkpoint, Precision.INT8)))
    assert len(list(folder.glob("*.safetensors"))) > 5


def test_the_original_is_in_memory_a_layer_at_a_time(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[weakref.ref[Tensor]] = []
    alive: list[int] = []
    tensors = Checkpoint.tensors

    def watched(*arguments: Any) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in tensors(*arguments):
            alive.append(sum(ref() is not None for ref in read))
            if name.startswith("blocks.") and tensor.dim() == 2:  # what is quantized; the rest is kept as it is
                read.append(weakref.ref(tensor))
            yield name, tensor

    monkeypatch.setattr(Checkpoint, "tensors", watched)
    gc.disable()
    try:
        open_transformer(checkpoint, Precision.INT8)
    finally:
        gc.enable()
    assert len(read) == 2 * 10
    assert max(alive) <= 2  # the one before, until the loop's names are bound anew


def test_embeddings_of_a_quantized_text_encoder_stay_close(checkpoint: Checkpoint) -> None:
    encoder = network(component=Component.TEXT_ENCODER)
    opened = open_quantized(checkpoint, Component.TEXT_ENCODER, encoder, Precision.INT8, torch.float32, CPU)
    original = checkpoint.load(Component.TEXT_ENCODER, torch.float32)
    ids = torch.tensor([[3, 4, 5, 1]])
    with torch.no_grad():
        expected, made = (module(ids).last_hidden_state for module in (original, opened))
    assert 1e-5 < (made - expected).norm() / expected.norm() < 0.02
    assert opened.shared.weight is opened.encoder.embed_tokens.weight


# Refusals -----------------------------------------------------------------------------------------------------------
def test_a_full_disk_is_told_before_anything_is_made(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**40, used=2**40, free=2**30))
    with pytest.raises(ModelUnavailable, match=r"transformer in int8 takes 13\.\d GiB .* 1\.0 GiB are free\. Free"):
        check_room(checkpoint, Component.TRANSFORMER, WAN_A14B_TRANSFORMER, Precision.INT8, torch.bfloat16)
    check_room(checkpoint, Component.TRANSFORMER, WAN_A14B_TRANSFORMER, Precision.BFLOAT16, torch.bfloat16)
    assert not list(cache.rglob("*.safetensors"))


def test_what_is_kept_needs_no_room_again(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    open_transformer(checkpoint, Precision.INT8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**40, used=2**40, free=0))
    open_transformer(checkpoint, Precision.INT8)


def test_nothing_half_made_is_left_or_taken(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(quantization, "save_file", refuse)
        with pytest.raises(ModelUnavailable, match="No space left"):
            open_transformer(checkpoint, Precision.INT8)
    assert not list(cache.rglob("*int8*"))
    open_transformer(checkpoint, Precision.INT8)


def test_a_kept_folder_that_lost_a_file_is_named(checkpoint: Checkpoint) -> None:
    open_transformer(checkpoint, Precision.INT8)
    folder = kept_folder(checkpoint, Component.TRANSFORMER, Precision.INT8, torch.float32)
    (folder / "0000.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"misses .*Delete that folder"):
        open_transformer(checkpoint, Precision.INT8)
