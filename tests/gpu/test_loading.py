"""A checkpoint's folder is checked before anything big is read, and every refusal names the file."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel

from pipeline.errors import ModelUnavailable
from pipeline.gpu import loading
from pipeline.gpu.loading import ASSETS, Checkpoint, check_folder, find_checkpoint
from pipeline.plan.catalog import LTX_2B, MINIATURE
from pipeline.plan.spec import Component

WEIGHTS = {"transformer": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors"}
Damage = Callable[[Path], object]

PARTS = tuple(MINIATURE.networks)


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A whole checkpoint that a test may break."""
    return Path(shutil.copytree(tiny, tmp_path / "miniature"))


def weights(folder: Path, component: str) -> Path:
    return folder / component / WEIGHTS.get(component, "model.safetensors")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rename_class(folder: Path, component: str, name: str) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index[component][1] = name
    (folder / "model_index.json").write_text(json.dumps(index))


def name_a_missing_shard(folder: Path) -> None:
    index = {"weight_map": {"a": WEIGHTS["vae"], "b": "diffusion_pytorch_model-00002-of-00002.safetensors"}}
    (folder / "vae" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def test_every_component_opens_in_the_precision_asked_for(tiny: Path) -> None:
    checkpoint = check_folder("miniature", tiny, PARTS)
    for component in PARTS:
        module = checkpoint.load(component, torch.bfloat16)
        assert type(module).__name__ == json.loads((tiny / "model_index.json").read_text())[component][1]
        assert {p.dtype for p in module.parameters()} <= {torch.bfloat16, torch.float32}
        assert torch.bfloat16 in {p.dtype for p in module.parameters()}


def test_of_the_vae_only_what_decodes_is_kept(tiny: Path) -> None:
    vae = check_folder("miniature", tiny, PARTS).load(Component.VAE, torch.float32)
    assert not [name for name, _ in vae.named_parameters() if name.startswith("encoder.")]
    assert [name for name, _ in vae.named_parameters() if name.startswith("decoder.")]


def test_tokenizer_and_scheduler_are_the_checkpoint_s_own(tiny: Path) -> None:
    checkpoint = check_folder("miniature", tiny, PARTS)
    assert checkpoint.tokenizer()("a red star").input_ids == [3, 4, 7, 1]
    assert checkpoint.scheduler().config.shift == 1.0


def test_the_shipped_miniature_is_whole() -> None:
    assert find_checkpoint(MINIATURE).folder == ASSETS / "miniature"


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (shutil.rmtree, "model_index.json"),
        (lambda f: (f / "model_index.json").unlink(), "model_index.json"),
        (lambda f: (f / "model_index.json").write_text("{"), "model_index.json"),
        (lambda f: (f / "model_index.json").write_text("[]"), "model_index.json"),
        (lambda f: (f / "model_index.json").write_text('{"vae": null}'), "model_index.json"),
        (lambda f: shutil.rmtree(f / "vae"), "vae"),
        (lambda f: shutil.rmtree(f / "text_encoder"), "text_encoder"),
        (lambda f: shutil.rmtree(f / "tokenizer"), "tokenizer"),
        (lambda f: shutil.rmtree(f / "scheduler"), "scheduler"),
        (lambda f: weights(f, "transformer").unlink(), "transformer"),
        (lambda f: truncate(weights(f, "transformer")), "transformer/diffusion_pytorch_model.safetensors"),
        (lambda f: weights(f, "text_encoder").write_bytes(b""), "text_encoder/model.safetensors"),
        (lambda f: weights(f, "vae").write_bytes(b"<html>not found</html>"), "vae/diffusion_pytorch_model.safetensors"),
        (name_a_missing_shard, "diffusion_pytorch_model-00002-of-00002.safetensors"),
        (lambda f: (f / "vae" / "x.safetensors.index.json").write_text("{}"), "x.safetensors.index.json"),
        (lambda f: rename_class(f, "transformer", "CogVideoXTransformer3DModel"), "CogVideoXTransformer3DModel"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_by_name(folder: Path, damage: Damage, named: str) -> None:
    damage(folder)
    with pytest.raises(ModelUnavailable) as refusal:
        check_folder("miniature", folder, PARTS)
    assert named in refusal.value.message
    assert refusal.value.model == "miniature"


@pytest.mark.parametrize(("dtype", "said"), [(torch.float8_e4m3fn, "F8_E4M3"), (torch.int8, "I8")], ids=str)
def test_weights_in_a_precision_of_somebody_else_s_are_refused(folder: Path, dtype: torch.dtype, said: str) -> None:
    path = weights(folder, "transformer")
    tensors = {name: tensor.to(dtype) if tensor.dim() == 2 else tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    with pytest.raises(ModelUnavailable, match=f"holds weights in {said}, and Rushes reads F64, F32, F16, BF16"):
        check_folder("miniature", folder, PARTS)


def test_a_pickle_is_refused_unread(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(tmp_path / "opened"),)

    weights(folder, "text_encoder").unlink()
    (folder / "text_encoder" / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelUnavailable, match="holds no safetensors file"):
        check_folder("miniature", folder, PARTS)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize(
    ("damage", "component"),
    [
        (lambda f: truncate(weights(f, "text_encoder")), Component.TEXT_ENCODER),
        (lambda f: truncate(weights(f, "transformer")), Component.TRANSFORMER),
        (lambda f: (f / "vae" / "config.json").unlink(), Component.VAE),
        (lambda f: (f / "vae" / "config.json").write_text("{"), Component.VAE),
    ],
)
def test_what_breaks_after_the_check_is_told_as_well(folder: Path, damage: Damage, component: Component) -> None:
    checkpoint = check_folder("miniature", folder, PARTS)
    damage(folder)
    with pytest.raises(ModelUnavailable, match=component):
        checkpoint.load(component, torch.float32)


@pytest.mark.parametrize("part", ["tokenizer", "scheduler"])
def test_an_empty_tokenizer_or_scheduler_folder_is_told(folder: Path, part: str) -> None:
    for file in (folder / part).iterdir():
        file.unlink()
    checkpoint = check_folder("miniature", folder, PARTS)
    with pytest.raises(ModelUnavailable, match=part):
        getattr(checkpoint, part)()


def test_running_out_of_memory_is_not_taken_for_a_damaged_file(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(T5EncoderModel, "from_pretrained", refuse)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        check_folder("miniature", tiny, PARTS).load(Component.TEXT_ENCODER, torch.float32)


def test_a_fingerprint_changes_with_the_files_and_with_nothing_else(folder: Path) -> None:
    checkpoint = check_folder("miniature", folder, PARTS)
    names = {component: checkpoint.fingerprint(component) for component in Component}
    assert len(set(names.values())) == len(names)
    file = weights(folder, "text_encoder")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000))
    assert checkpoint.fingerprint(Component.TEXT_ENCODER) != names[Component.TEXT_ENCODER]
    assert checkpoint.fingerprint(Component.VAE) == names[Component.VAE]


def cached(tmp_path: Path, tiny: Path, name: str, *, content: str) -> Checkpoint:
    """A checkpoint as Hugging Face's cache holds it: large files are links to what is named by its SHA-256."""
    folder = Path(shutil.copytree(tiny, tmp_path / name / "snapshots" / "0"))
    blob = tmp_path / name / "blobs" / content
    blob.parent.mkdir()
    weights(folder, "text_encoder").rename(blob)
    weights(folder, "text_encoder").symlink_to(blob)
    return check_folder(name, folder, PARTS)


def test_models_with_the_same_content_share_a_fingerprint(tmp_path: Path, tiny: Path) -> None:
    one, other, third = (
        cached(tmp_path, tiny, name, content=content * 64) for name, content in (("one", "a"), ("two", "a"), ("x", "b"))
    )
    encoder = Component.TEXT_ENCODER
    assert one.fingerprint(encoder) == other.fingerprint(encoder) != third.fingerprint(encoder)
    assert one.fingerprint(Component.VAE) != other.fingerprint(Component.VAE)  # plain files: nothing tells


# Hugging Face's cache -----------------------------------------------------------------------------------------------
@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face's."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.usefixtures("hub")
def test_a_model_that_was_never_downloaded_is_told_with_the_command() -> None:
    with pytest.raises(ModelUnavailable, match="not on this machine") as refusal:
        find_checkpoint(LTX_2B)
    assert refusal.value.hint == "Get it with: python -m pipeline download ltx-2b"


def test_a_model_in_the_cache_is_found_there(hub: Path, tiny: Path) -> None:
    spec = replace(LTX_2B, repository="somebody/something")
    repository, commit = hub / "models--somebody--something", "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = Path(shutil.copytree(tiny, repository / "snapshots" / commit))
    assert find_checkpoint(spec).folder == snapshot
    assert find_checkpoint(spec).model == "ltx-2b"


def test_half_a_download_is_refused_by_name(hub: Path, tiny: Path) -> None:
    repository, commit = hub / "models--Lightricks--LTX-Video-0.9.5", "1" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = Path(shutil.copytree(tiny, repository / "snapshots" / commit))
    shutil.rmtree(snapshot / "transformer")
    with pytest.raises(ModelUnavailable, match="transformer"):
        find_checkpoint(LTX_2B)


def test_the_miniature_is_looked_for_beside_the_program(tiny: Path) -> None:
    assert find_checkpoint(MINIATURE).folder == tiny
    assert tiny.parent == loading.ASSETS
