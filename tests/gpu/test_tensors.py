"""Weights in one file, named as their authors name them: the same bits as in a folder, and refused by name before."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.errors import ModelUnavailable
from pipeline.gpu import loading
from pipeline.gpu.loading import CLASSES, Checkpoint, check_folder
from pipeline.gpu.tensors import list_originals, list_tensors
from pipeline.plan.catalog import LTX_2B_DISTILLED
from pipeline.plan.spec import Component
from tests.tiny_files import make_tiny_original

PARTS = tuple(LTX_2B_DISTILLED.networks)
IN_FILE = tuple(LTX_2B_DISTILLED.originals)
BLOCK = "model.diffusion_model.transformer_blocks.0.attn1.to_q.weight"
Damage = Callable[[dict[str, Tensor]], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`folder`, a whole checkpoint, and `file.safetensors` with the same weights."""
    place = tmp_path_factory.mktemp("original")
    make_tiny_original(place / "folder", place / "file.safetensors")
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """The same for a test to break; in its folder the configurations are all there is of what is in the file."""
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    for component in IN_FILE:
        (copy / "folder" / component / "diffusion_pytorch_model.safetensors").unlink()
    return copy


def check(place: Path) -> Checkpoint:
    file = place / "file.safetensors"
    return check_folder("ltx", place / "folder", PARTS, originals=tuple((part, file) for part in IN_FILE))


def state(module: nn.Module) -> dict[str, Tensor]:
    """Weights, and what else a module computes with."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


def assert_same(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = state(one), state(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype, name
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("component", IN_FILE)
def test_a_file_opens_with_the_bits_of_a_folder(
    made: Path, place: Path, component: Component, dtype: torch.dtype
) -> None:
    folder = check_folder("ltx", made / "folder", PARTS).load(component, dtype)
    opened = check(place).load(component, dtype)
    assert type(opened) is type(folder)
    assert_same(opened, folder)


@pytest.mark.parametrize("component", IN_FILE)
def test_a_file_opens_as_diffusers_opens_it(place: Path, component: Component) -> None:
    opened = check(place).load(component, torch.float32)
    theirs = CLASSES[type(opened).__name__].from_single_file(
        str(place / "file.safetensors"), config=str(place / "folder"), subfolder=component, local_files_only=True
    )
    if component is Component.VAE:
        theirs.register_module("encoder", None)
    assert_same(opened, theirs)


def test_what_is_not_in_the_file_is_of_the_folder(made: Path, place: Path) -> None:
    text_encoder = check(place).load(Component.TEXT_ENCODER, torch.float32)
    assert_same(text_encoder, check_folder("ltx", made / "folder", PARTS).load(Component.TEXT_ENCODER, torch.float32))


def test_tensors_are_asked_for_by_diffusers_names(made: Path, place: Path) -> None:
    names = ["time_embed.linear.weight", "proj_in.bias", "transformer_blocks.0.attn2.norm_q.weight"]
    wanted = load_file(made / "folder" / "transformer" / "diffusion_pytorch_model.safetensors")
    came = dict(check(place).tensors(Component.TRANSFORMER, names))
    assert list(came) == names
    assert all(torch.equal(came[name], wanted[name]) for name in names)
    with pytest.raises(ModelUnavailable, match=r"file.safetensors misses patchify_proj.bias"):
        list(check(place).tensors(Component.TRANSFORMER, ["patchify_proj.bias"]))


def test_the_file_names_the_weights_for_caches(place: Path) -> None:
    checkpoint, file = check(place), place / "file.safetensors"
    before = {component: checkpoint.fingerprint(component) for component in PARTS}
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000))
    changed = {component for component in PARTS if checkpoint.fingerprint(component) != before[component]}
    assert changed == set(IN_FILE)


def test_a_list_of_originals_tells_where_and_under_which_name(place: Path) -> None:
    file = place / "file.safetensors"
    listed = list_originals("ltx", file, "AutoencoderKLLTXVideo")
    assert (
        listed["decoder.mid_block.resnets.0.conv1.conv.bias"].name
        == "vae.decoder.up_blocks.0.res_blocks.0.conv1.conv.bias"
    )
    assert listed["latents_std"].name == "vae.per_channel_statistics.std-of-means"
    assert len(listed) == len(set(listed.values()))
    there = list_tensors("ltx", [file])
    assert all(stored == there[stored.name] for stored in listed.values())


# Refusals -----------------------------------------------------------------------------------------------------------
def rewrite(place: Path, damage: Damage) -> None:
    tensors = load_file(place / "file.safetensors")
    damage(tensors)
    save_file(tensors, place / "file.safetensors")


def deepen(tensors: dict[str, Tensor]) -> None:
    tensors |= {name.replace("blocks.0", "blocks.1"): t.clone() for name, t in tensors.items() if "er_blocks.0" in name}


def widen(tensors: dict[str, Tensor]) -> None:
    tensors[BLOCK] = torch.zeros(48, 32)


def drop(part: str) -> Damage:
    def damage(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if name.startswith(part)]:
            del tensors[name]

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(drop(BLOCK), "misses transformer_blocks.0.attn1.to_q.weight", id="a tensor missing"),
        pytest.param(drop("vae.decoder.conv_in"), "misses decoder.conv_in.conv", id="of the VAE"),
        pytest.param(drop("vae."), "holds no AutoencoderKLLTXVideo as its authors store it", id="no VAE"),
        pytest.param(drop("model."), "misses", id="no transformer"),
        pytest.param(deepen, "transformer_blocks.1", id="more blocks"),
        pytest.param(widen, r"to_q.weight is \[48, 32\], and folder's transformer has it as \[32, 32\]", id="wider"),
    ],
)
def test_a_file_of_another_architecture_is_refused_by_name_and_unread(
    place: Path, damage: Damage, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(place, damage)
    monkeypatch.setattr(loading, "read_tensor", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(ModelUnavailable, match=rf"file\.safetensors .*{said}") as refusal:
        check(place)
    assert refusal.value.model == "ltx"
    assert refusal.value.hint


def test_a_configuration_of_another_network_is_refused(place: Path) -> None:
    path = place / "folder" / "vae" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"decoder_layers_per_block": [2, 2, 2, 2]}))
    with pytest.raises(ModelUnavailable, match=r"file.safetensors misses decoder.mid_block.resnets.1"):
        check(place)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None], ids=["empty", "a page", "half"])
def test_a_file_that_is_not_whole_is_refused_by_name(place: Path, content: bytes | None) -> None:
    file = place / "file.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)
    with pytest.raises(ModelUnavailable, match=r"file\.safetensors cannot be read"):
        check(place)


@pytest.mark.parametrize("component", IN_FILE)
def test_a_folder_without_the_file_s_configuration_is_refused(place: Path, component: Component) -> None:
    (place / "folder" / component / "config.json").unlink()
    with pytest.raises(ModelUnavailable, match=f"{component}/config.json cannot be read"):
        check(place)


def test_what_breaks_after_the_check_is_told_as_well(place: Path) -> None:
    checkpoint = check(place)
    (place / "file.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelUnavailable, match=r"file\.safetensors cannot be read"):
        checkpoint.load(Component.TRANSFORMER, torch.float32)
