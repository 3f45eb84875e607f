"""A LoRA changes each weight by alpha / rank times up times down, once, exactly, and only where it belongs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.errors import ModelUnavailable
from pipeline.gpu import loading
from pipeline.gpu.loading import Checkpoint, check_folder
from pipeline.gpu.lora import read_lora
from pipeline.gpu.quantization import kept_folder, open_quantized
from pipeline.plan.memory import Precision
from pipeline.plan.spec import Component
from tests.tiny_files import ALPHA, RANK, make_tiny_lora, merge
from tests.tiny_wan import TINY_5B, TINY_A14B, make_tiny_wan

EXPERTS = (Component.TRANSFORMER, Component.TRANSFORMER_2)
PARTS = tuple(TINY_A14B.networks)
QUERY = "diffusion_model.blocks.0.self_attn.q"
CPU = torch.device("cpu")
Damage = Callable[[dict[str, Tensor]], object]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("lora") / "a14b", TINY_A14B)


@pytest.fixture
def files(folder: Path, tmp_path: Path) -> dict[Component, Path]:
    """A LoRA an expert, each its own."""
    return {
        expert: make_tiny_lora(folder / expert, tmp_path / f"{expert}.safetensors", seed=seed)
        for seed, expert in enumerate(EXPERTS)
    }


def check(folder: Path, files: dict[Component, Path]) -> Checkpoint:
    return check_folder("wan", folder, PARTS, loras=tuple(files.items()))


@pytest.mark.parametrize("expert", EXPERTS)
def test_each_expert_s_weights_are_changed_by_its_own_lora(
    folder: Path, files: dict[Component, Path], expert: Component
) -> None:
    merged = merge(folder / expert, files[expert])
    plain = check_folder("wan", folder, PARTS).load(expert, torch.float32).state_dict()
    opened = check(folder, files).load(expert, torch.float32).state_dict()
    assert opened.keys() == plain.keys() == merged.keys()
    for name, tensor in opened.items():
        torch.testing.assert_close(tensor, merged[name], rtol=1e-6, atol=1e-6)
    changed = {name for name, tensor in opened.items() if not torch.equal(tensor, plain[name])}
    assert len(changed) == 2 * 10  # blocks, linear layers
    assert not [name for name in changed if "bias" in name or "norm" in name]


def test_without_a_number_a_lora_is_added_as_it_is(folder: Path, files: dict[Component, Path]) -> None:
    """And under the other names for its factors."""
    file = files[Component.TRANSFORMER]
    factors = {name: tensor for name, tensor in load_file(file).items() if not name.endswith("alpha")}
    names = {name: name.replace("lora_down", "lora_A").replace("lora_up", "lora_B") for name in factors}
    save_file({names[name]: tensor for name, tensor in factors.items()}, file)
    name = "blocks.0.attn1.to_q.weight"
    (change,) = dict(check(folder, files).tensors(Component.TRANSFORMER, [name])).values()
    plain = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")[name]
    delta = factors[f"{QUERY}.lora_up.weight"] @ factors[f"{QUERY}.lora_down.weight"]
    torch.testing.assert_close(change, plain + delta)


def test_what_is_stored_in_16_bits_is_added_in_32(folder: Path, tmp_path: Path) -> None:
    """Weights of 1 and changes of 2^-12, which bfloat16 would not see."""
    file = make_tiny_lora(folder / "transformer", tmp_path / "lora.safetensors", dtype=torch.float16)
    factors = load_file(file)
    factors[f"{QUERY}.lora_down.weight"] = torch.full((RANK, 32), 2.0**-6, dtype=torch.float16)
    factors[f"{QUERY}.lora_up.weight"] = torch.full((32, RANK), 2.0**-6, dtype=torch.float16)
    save_file(factors, file)
    (change,) = (change for name, change in read_lora("wan", file).items() if name == "blocks.0.attn1.to_q.weight")
    assert change.scale == ALPHA / RANK
    weight = torch.ones(32, 32, dtype=torch.bfloat16)
    changed = change.add_to(weight)
    assert changed.dtype == torch.float32
    assert (changed == 1 + 2.0**-12).all()
    assert (weight == 1).all()


@pytest.mark.parametrize("expert", EXPERTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_in_32_bits_what_a_folder_s_does(
    folder: Path, files: dict[Component, Path], expert: Component, dtype: torch.dtype
) -> None:
    opened = check(folder, files).load(expert, dtype)
    plain = check_folder("wan", folder, PARTS).load(expert, dtype)
    buffers = {name: buffer.dtype for name, buffer in plain.named_buffers()}
    assert {name: buffer.dtype for name, buffer in opened.named_buffers()} == buffers
    merged = merge(folder / expert, files[expert])
    kept = dict(plain.named_parameters())
    for name, weight in opened.named_parameters():
        assert weight.dtype == kept[name].dtype
        torch.testing.assert_close(weight.float(), merged[name].to(weight.dtype).float(), rtol=2**-7, atol=1e-6)
    assert {weight.dtype for weight in kept.values()} == {dtype, torch.float32}


@pytest.mark.parametrize("precision", [Precision.FP8, Precision.INT8, Precision.INT4])
def test_quantized_weights_are_made_of_the_changed_ones(
    folder: Path, files: dict[Component, Path], precision: Precision
) -> None:
    def weights(checkpoint: Checkpoint) -> Tensor:
        opened = open_quantized(
            checkpoint, Component.TRANSFORMER_2, TINY_A14B.transformer, precision, torch.float32, CPU
        )
        kept: Any = opened.get_submodule("blocks.1.ffn.net.2").weight
        return kept.float() if precision is Precision.FP8 else kept.dequantize()

    name = "blocks.1.ffn.net.2.weight"
    merged = merge(folder / "transformer_2", files[Component.TRANSFORMER_2])[name]
    plain = load_file(folder / "transformer_2" / "diffusion_pytorch_model.safetensors")[name]
    quantized = weights(check(folder, files))
    assert (quantized - merged).norm() < 0.2 * merged.norm()
    assert (quantized - plain).norm() > 0.5 * merged.norm()
    assert torch.equal(quantized, weights(check(folder, files)))


def test_caches_know_one_lora_from_another_and_from_none(folder: Path, files: dict[Component, Path]) -> None:
    def names(files: dict[Component, Path]) -> list[Path]:
        checkpoint = check(folder, files)
        return [kept_folder(checkpoint, expert, Precision.INT8, torch.bfloat16) for expert in EXPERTS]

    plain, one, other = names({}), names(files), names(dict(zip(EXPERTS, reversed(files.values()), strict=True)))
    file = files[Component.TRANSFORMER]
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000))
    newer = names(files)
    assert len({*plain, *one, *other}) == 6
    assert newer[0] not in (*plain, *one, *other)
    assert newer[1] == one[1]
    encoders = {check(folder, some).fingerprint(Component.TEXT_ENCODER) for some in ({}, files)}
    assert len(encoders) == 1


@pytest.mark.gpu
def test_a_card_adds_what_the_processor_adds(folder: Path, files: dict[Component, Path]) -> None:
    checkpoint = check(folder, files)
    there = checkpoint.load(Component.TRANSFORMER, torch.bfloat16, "cuda")
    here = dict(checkpoint.load(Component.TRANSFORMER, torch.bfloat16).named_parameters())
    for name, weight in there.named_parameters():
        assert weight.device.type == "cuda"
        torch.testing.assert_close(weight.cpu(), here[name], rtol=2**-7, atol=1e-6)


# Refusals -----------------------------------------------------------------------------------------------------------
def rename(old: str, new: str) -> Damage:
    def damage(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if old in name]:
            tensors[name.replace(old, new)] = tensors.pop(name)

    return damage


def put(name: str, *shape: int) -> Damage:
    return lambda tensors: tensors.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda t: t.clear(), "is no LoRA for a transformer of Wan's", id="nothing"),
        pytest.param(rename("diffusion_model.blocks", "transformer_blocks"), "is no LoRA", id="of another family"),
        pytest.param(rename("self_attn", "img_attn"), "is no LoRA for a transformer of Wan's", id="other layers"),
        pytest.param(
            rename("blocks.1", "blocks.2"), "it changes blocks.2.attn1.to_k.weight, which is not there", id="deeper"
        ),
        pytest.param(
            put(f"{QUERY}.lora_up.weight", 48, RANK),
            r"attn1.to_q.weight, which is \[32, 32\], by \[48, 4\] times \[4, 32\]",
            id="wider",
        ),
        pytest.param(put(f"{QUERY}.lora_down.weight", RANK, 48), r"\[32, 4\] times \[4, 48\]", id="deeper inside"),
        pytest.param(put(f"{QUERY}.lora_up.weight", 32, 3), r"by \[32, 3\] times \[4, 32\]", id="two ranks"),
        pytest.param(put(f"{QUERY}.lora_up.weight"), r"by \[\] times", id="a number for a factor"),
        pytest.param(put(f"{QUERY}.lora_down.weight", 0, 32), "is no LoRA", id="no rank"),
        pytest.param(put(f"{QUERY}.alpha", 2), "cannot be read: ", id="two numbers for one"),
        pytest.param(lambda t: t.pop(f"{QUERY}.lora_up.weight"), "is no LoRA", id="half a change"),
        pytest.param(
            put("diffusion_model.blocks.0.self_attn.q.diff_b", 32), "q.diff_b, which is no part of a LoRA", id="a bias"
        ),
        pytest.param(put("diffusion_model.patch_embedding.diff", 32, 16, 1, 2, 2), "diff, which is no", id="a diff"),
    ],
)
def test_a_lora_for_something_else_is_refused_by_name_before_a_weight_is_read(
    folder: Path, files: dict[Component, Path], damage: Damage, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = files[Component.TRANSFORMER_2]
    factors = load_file(file)
    damage(factors)
    save_file(factors, file)
    monkeypatch.setattr(loading, "read_tensor", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(ModelUnavailable, match=rf"transformer_2\.safetensors .*{said}") as refusal:
        check(folder, files)
    assert refusal.value.model == "wan"
    assert refusal.value.hint


def test_a_lora_for_another_wan_is_refused(folder: Path, files: dict[Component, Path], tmp_path: Path) -> None:
    """The same layers under the same names: only their sizes tell."""
    make_tiny_wan(tmp_path / "wide", TINY_5B, heads=3)
    make_tiny_lora(tmp_path / "wide" / "transformer", files[Component.TRANSFORMER])
    with pytest.raises(ModelUnavailable, match=r"transformer\.safetensors is for another model: it changes blocks\.0"):
        check(folder, files)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None], ids=["empty", "a page", "half"])
def test_a_file_that_is_not_whole_is_refused_by_name(
    folder: Path, files: dict[Component, Path], content: bytes | None
) -> None:
    file = files[Component.TRANSFORMER]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)
    with pytest.raises(ModelUnavailable, match=r"transformer\.safetensors cannot be read"):
        check(folder, files)


def test_what_breaks_after_the_check_is_told_as_well(folder: Path, files: dict[Component, Path]) -> None:
    checkpoint, file = check(folder, files), files[Component.TRANSFORMER]
    file.write_bytes(b"torn")
    with pytest.raises(ModelUnavailable, match=r"transformer\.safetensors cannot be read"):
        checkpoint.load(Component.TRANSFORMER, torch.float32)


def test_weights_of_another_size_than_the_configuration_s_are_refused(
    folder: Path, files: dict[Component, Path], tmp_path: Path
) -> None:
    wide = make_tiny_wan(tmp_path / "wide", TINY_A14B, heads=3)
    (wide / "transformer" / "config.json").write_bytes((folder / "transformer" / "config.json").read_bytes())
    with pytest.raises(ModelUnavailable, match=r"transformer/diffusion_pytorch_model.safetensors is for another model"):
        check(wide, {Component.TRANSFORMER: files[Component.TRANSFORMER]})
