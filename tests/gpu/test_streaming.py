"""Weights that pass through the device a block at a time give the numbers of those that stay, bit for bit."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import ModelUnavailable
from pipeline.gpu import streaming
from pipeline.gpu.loading import Checkpoint
from pipeline.gpu.streaming import EXACT_PINNING, open_streamed_encoder, stream_blocks
from pipeline.plan.components import T5_XXL
from pipeline.plan.spec import Component
from tests.tiny_wan import TINY_A14B, make_tiny_wan

CPU = torch.device("cpu")
IDS = torch.tensor([[3, 4, 5, 1]])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint(TINY_A14B.key, make_tiny_wan(tmp_path_factory.mktemp("streamed") / "a14b", TINY_A14B))


@torch.no_grad()
def embed(encoder: nn.Module) -> Tensor:
    states: Tensor = encoder(IDS).last_hidden_state
    return states


def open_encoder(checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> nn.Module:
    return open_streamed_encoder(checkpoint, Component.TEXT_ENCODER, T5_XXL, dtype, CPU)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_streamed_text_encoder_says_what_a_loaded_one_says(checkpoint: Checkpoint, dtype: torch.dtype) -> None:
    expected = embed(checkpoint.load(Component.TEXT_ENCODER, dtype))
    encoder = open_encoder(checkpoint, dtype)
    assert torch.equal(embed(encoder), expected)
    assert torch.equal(embed(encoder), expected)  # each sentence reads the blocks again


def test_its_blocks_are_nowhere_between_sentences(checkpoint: Checkpoint) -> None:
    encoder = open_encoder(checkpoint)
    for _ in range(2):
        places = {p.device.type for block in encoder.encoder.block for p in block.parameters()}
        assert places == {"meta"}
        embed(encoder)


def test_words_are_looked_up_in_main_memory_and_everything_else_elsewhere(checkpoint: Checkpoint) -> None:
    """On the meta device, where a lookup would find no words."""
    encoder = open_streamed_encoder(checkpoint, Component.TEXT_ENCODER, T5_XXL, torch.float32, torch.device("meta"))
    assert encoder.encoder.embed_tokens.weight.device.type == "cpu"
    assert embed(encoder).is_meta


def test_one_block_is_there_at_a_time(checkpoint: Checkpoint, tmp_path: Path) -> None:
    from transformers import UMT5Config, UMT5EncoderModel

    text = UMT5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=16, num_layers=4, num_heads=2)
    UMT5EncoderModel(text).save_pretrained(tmp_path / "text_encoder")
    (tmp_path / "model_index.json").write_bytes((checkpoint.folder / "model_index.json").read_bytes())
    encoder = open_encoder(Checkpoint("deep", tmp_path))
    blocks, present = encoder.encoder.block, list[int]()
    for block in blocks:
        block.layer[0].register_forward_pre_hook(
            lambda *_: present.append(sum(not next(b.parameters()).is_meta for b in blocks))
        )
    embed(encoder)
    assert present == [1, 1, 1, 1]


def test_a_missing_tensor_is_told_before_anything_computes(checkpoint: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name in ("config.json", "model.safetensors"):
        (tmp_path / "text_encoder").mkdir(exist_ok=True)
        (tmp_path / "text_encoder" / name).write_bytes((checkpoint.folder / "text_encoder" / name).read_bytes())
    (tmp_path / "model_index.json").write_bytes((checkpoint.folder / "model_index.json").read_bytes())
    path = tmp_path / "text_encoder" / "model.safetensors"
    tensors = load_file(path)
    gone = "encoder.block.0.layer.1.DenseReluDense.wo.weight"
    save_file({name: tensor.clone() for name, tensor in tensors.items() if name != gone}, path)
    with pytest.raises(ModelUnavailable, match=gone):
        open_encoder(Checkpoint("partial", tmp_path))


@torch.no_grad()
def test_a_streamed_transformer_computes_what_a_resident_one_does(checkpoint: Checkpoint) -> None:
    latents, text = torch.randn(1, 16, 2, 4, 4), torch.randn(1, 8, 16)
    given = latents, torch.tensor([500.0]), text
    resident = checkpoint.load(Component.TRANSFORMER, torch.float32)
    streamed = stream_blocks(checkpoint.load(Component.TRANSFORMER, torch.float32), CPU)
    for _ in range(2):
        assert torch.equal(streamed(*given, return_dict=False)[0], resident(*given, return_dict=False)[0])


def test_what_is_streamed_goes_when_it_is_let_go(checkpoint: Checkpoint) -> None:
    gc.disable()
    try:
        seen = weakref.ref(checkpoint.load(Component.TRANSFORMER, torch.float32))
        assert seen() is None
        streamed = stream_blocks(checkpoint.load(Component.TRANSFORMER, torch.float32), CPU)
        weight = weakref.ref(streamed.blocks[0].ffn.net[0].proj.weight)
        del streamed
        gc.collect()
        assert weight() is None
    finally:
        gc.enable()


@pytest.fixture
def fresh() -> Iterator[None]:
    streaming._pins_exactly.cache_clear()
    yield
    streaming._pins_exactly.cache_clear()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("error", [AttributeError, RuntimeError, ValueError])
def test_a_torch_that_cannot_pin_exactly_pins_as_weights_move(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a card would: torch 2.10 knows the call and not the keys, and says so by a ValueError."""

    def refuse(_: str) -> None:
        raise error("Unrecognized key 'pinned_max_round_threshold_mb' in allocator config.")

    asked: list[dict[str, object]] = []
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", refuse)
    monkeypatch.setattr(streaming, "apply_group_offloading", lambda _, **settings: asked.append(settings))
    stream_blocks(nn.Linear(2, 2), torch.device("cuda"))
    assert [settings["low_cpu_mem_usage"] for settings in asked] == [True]


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("said", "told"),
    [("", EXACT_PINNING), ("garbage_collection_threshold:0.8", f"garbage_collection_threshold:0.8,{EXACT_PINNING}")],
)
def test_what_a_person_told_the_allocator_is_told_again_and_only_once(
    said: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each telling replaces the one before."""
    heard: list[str] = []
    monkeypatch.setattr(torch._C, "_accelerator_getAllocatorSettings", lambda: heard[-1] if heard else said)
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", heard.append)
    assert streaming._pins_exactly()
    assert streaming._pins_exactly()
    assert heard == [told]


@pytest.mark.gpu
def test_a_card_holds_two_blocks_of_a_streamed_transformer() -> None:
    from diffusers import WanTransformer3DModel

    size = {"num_attention_heads": 8, "attention_head_dim": 64, "text_dim": 64, "ffn_dim": 2048, "num_layers": 12}
    module = WanTransformer3DModel(**size)
    module = module.to(torch.bfloat16)
    block = sum(p.nbytes for p in module.blocks[0].parameters())
    outside = sum(p.nbytes for p in module.parameters()) - 12 * block
    stream_blocks(module, torch.device("cuda"))
    given = torch.randn(1, 16, 2, 4, 4).to("cuda", torch.bfloat16), torch.tensor([500.0]).cuda()
    text = torch.randn(1, 8, 64).to("cuda", torch.bfloat16)
    with torch.no_grad():
        for _ in range(2):  # the second knows the order of blocks and fetches ahead
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            module(*given, text, return_dict=False)
    assert torch.cuda.max_memory_allocated() - before < outside + 3 * block
