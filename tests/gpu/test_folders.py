"""A folder of one's own is taken for what it is: each refusal is one sentence, before anything big is read."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import diffusers
import pytest
from safetensors.numpy import save_file

from pipeline.errors import DraftError, InvalidRequest, ModelUnavailable
from pipeline.gpu.folders import PIPELINES, check_own_folder, read_folders
from pipeline.gpu.loading import ASSETS, find_checkpoint
from pipeline.plan.catalog import (
    ANYFLOW_1_3B,
    CATALOG,
    LTX_2B,
    LTX_2B_DISTILLED,
    LTX_13B,
    MINIATURE,
    WAN_5B,
    WAN_A14B,
    WAN_A14B_LIGHTNING,
)
from pipeline.plan.networks import Network
from pipeline.plan.spec import Component, Family, ModelSpec
from tests import truth
from tests.tiny_wan import make_tiny_wan

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
SHIPPED = ASSETS / MINIATURE.key
Damage = Callable[[Path], object]


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def like(spec: ModelSpec, folder: Path) -> ModelSpec:
    """A catalog entry for the checkpoint in a folder: the same names, its own values."""

    def in_it(component: Component, network: Network) -> Network:
        stored = read(folder / component / "config.json")
        return replace(network, config={key: stored.get(key) for key in network.config})

    networks = {component: in_it(component, network) for component, network in spec.networks.items()}
    return replace(spec, networks=MappingProxyType(networks)).kept_in(folder)


@pytest.fixture
def own(tiny_assets: Path, tmp_path: Path) -> ModelSpec:
    """The tiny checkpoint in a folder of one's own that a test may break."""
    return like(MINIATURE, Path(shutil.copytree(tiny_assets / MINIATURE.key, tmp_path / "my own")))


def refuse(spec: ModelSpec) -> str:
    """The sentence, which names the folder and comes alone."""
    with pytest.raises(ModelUnavailable) as refusal:
        find_checkpoint(spec)
    assert refusal.value.model == spec.key
    assert str(spec.folder) in refusal.value.message
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500
    return str(refusal.value)


# Right folders ------------------------------------------------------------------------------------------------------
def test_a_right_folder_is_the_checkpoint(own: ModelSpec) -> None:
    checkpoint = find_checkpoint(own)
    assert (checkpoint.model, checkpoint.folder) == ("miniature", own.folder)
    assert checkpoint.tokenizer()("a red star").input_ids == [3, 4, 7, 1]


@pytest.mark.parametrize("spec", [ANYFLOW_1_3B, WAN_5B, WAN_A14B], ids=lambda spec: spec.key)
def test_a_right_folder_of_wan_is_the_checkpoint(spec: ModelSpec, tmp_path: Path) -> None:
    own = like(spec, make_tiny_wan(tmp_path / "wan", spec))
    assert find_checkpoint(own).folder == tmp_path / "wan"


def test_a_component_in_shards_is_whole(own: ModelSpec) -> None:
    split(own.folder)
    assert find_checkpoint(own).folder == own.folder


def test_the_shipped_miniature_can_be_somebodys_own() -> None:
    assert check_own_folder(MINIATURE.kept_in(SHIPPED)) == SHIPPED


def split(folder: Path) -> list[Path]:
    """Turn the transformer's file into two shards and an index."""
    whole = folder / TRANSFORMER
    shards = [whole.with_name(f"diffusion_pytorch_model-0000{n}-of-00002.safetensors") for n in (1, 2)]
    for shard in shards:
        shutil.copyfile(whole, shard)
    index = {"weight_map": {"a": shards[0].name, "b": shards[1].name}}
    whole.with_name(f"{whole.name}.index.json").write_text(json.dumps(index))
    whole.unlink()
    return shards


def test_every_family_has_its_pipelines() -> None:
    assert set(PIPELINES) == set(Family)


@pytest.mark.parametrize("name", [name for names in PIPELINES.values() for name in names])
def test_a_pipeline_that_is_taken_is_one_of_diffusers(name: str) -> None:
    assert issubclass(getattr(diffusers, name), diffusers.DiffusionPipeline)


# Whose folder it is -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every model's folder at full size as the real classes write it, but with no tensor in its files."""
    folders = {}
    for spec in CATALOG.values():
        folder = folders[spec.key] = tmp_path_factory.mktemp(spec.key)
        index: dict[str, object] = {"_class_name": PIPELINES[spec.family][0]}
        for component, network in spec.networks.items():
            index[component] = ["a library", network.class_name]
            (folder / component).mkdir()
            text = component is Component.TEXT_ENCODER
            (folder / component / "config.json").write_text(configuration(network))
            save_file({}, folder / component / f"{'' if text else 'diffusion_pytorch_'}model.safetensors")
        for part in ("tokenizer", "scheduler"):
            (folder / part).mkdir()
        (folder / "model_index.json").write_text(json.dumps(index))
    return folders


def configuration(network: Network) -> str:
    config: Any = truth.build(network).config
    return str(config.to_json_string()) if hasattr(config, "to_json_string") else json.dumps(dict(config))


def shapes(spec: ModelSpec) -> list[object]:
    return [(network.class_name, network.config) for network in spec.networks.values()]


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_every_model_is_told_from_every_other(published: dict[str, Path], spec: ModelSpec) -> None:
    for other in CATALOG.values():
        given = spec.kept_in(published[other.key])
        if shapes(spec) == shapes(other):
            assert check_own_folder(given) == given.folder
        else:
            with pytest.raises(ModelUnavailable, match="is not") as refusal:
                check_own_folder(given)
            same = next(model.key for model in CATALOG.values() if shapes(model) == shapes(other))
            assert f"--weights {same}={given.folder}" in refusal.value.hint


def test_what_differs_is_named_with_both_values(published: dict[str, Path]) -> None:
    said = refuse(LTX_2B.kept_in(published["ltx-13b"]))
    assert "attention_head_dim of its transformer is 128, not 64" in said


def set_in(path: Path, **values: object) -> None:
    path.write_text(json.dumps(read(path) | values))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda f: set_in(f / "model_index.json", _class_name="CogVideoXPipeline"),
            "its pipeline is CogVideoXPipeline, not LTXCondition",
        ),
        (lambda f: set_in(f / "model_index.json", _class_name=None), "it names no pipeline, not LTXCondition"),
        (
            lambda f: set_in(f / "model_index.json", vae=["diffusers", "AutoencoderKL"]),
            "its vae is AutoencoderKL, not AutoencoderKLLTXVideo",
        ),
        (lambda f: set_in(f / "model_index.json", vae=[None, None]), "it has no vae"),
        (lambda f: set_in(f / "model_index.json", vae="AutoencoderKLLTXVideo"), "it has no vae"),
        (lambda f: set_in(f / "transformer/config.json", num_layers=30), "num_layers of its transformer is 30, not 1"),
        (lambda f: set_in(f / "vae/config.json", latent_channels=16), "latent_channels of its vae is 16, not 64"),
        (lambda f: set_in(f / "vae/config.json", upsample_factor=[1, 2]), "is [1, 2], not [1, 1, 1]"),
        (lambda f: set_in(f / "vae/config.json", patch_size="\n" * 10_000), "patch_size of its vae is"),
        (lambda f: set_in(f / "text_encoder/config.json", d_model=4096), "d_model of its text_encoder is 4096"),
    ],
)
@pytest.mark.fault(20)
def test_another_architecture_is_refused(own: ModelSpec, damage: Damage, said: str) -> None:
    damage(own.folder)
    assert said in refuse(own)


@pytest.mark.parametrize("value", [None, True])
def test_what_decides_on_no_shape_is_not_compared(own: ModelSpec, value: object) -> None:
    set_in(own.folder / "text_encoder/config.json", tie_word_embeddings=value)
    set_in(own.folder / "vae/config.json", spatial_compression_ratio=None)
    assert check_own_folder(own) == own.folder


# Folders that are not whole -----------------------------------------------------------------------------------------
def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shutil.rmtree, "is not a folder"),
        (lambda f: (shutil.rmtree(f), f.write_text("weights")), "is a file, not a folder"),
        (lambda f: (f / "model_index.json").unlink(), "has no model_index.json"),
        (lambda f: (f / "model_index.json").write_text("{"), "model_index.json cannot be read"),
        (lambda f: (f / "model_index.json").write_text("[]"), "model_index.json is no JSON object"),
        (lambda f: (f / "model_index.json").write_text("[" * 100_000), "model_index.json cannot be read"),
        (lambda f: (f / "vae/config.json").write_bytes(b"\xff\xfe"), "vae/config.json cannot be read"),
        (lambda f: (f / "vae/config.json").unlink(), "vae/config.json cannot be read"),
        (lambda f: shutil.rmtree(f / "tokenizer"), "has no tokenizer"),
        (lambda f: shutil.rmtree(f / "scheduler"), "has no scheduler"),
        (lambda f: (f / TRANSFORMER).unlink(), "transformer has no diffusion_pytorch_model.safetensors"),
        (lambda f: (f / TRANSFORMER).rename(f / "transformer/mine.safetensors"), "transformer has no diffusion_pyto"),
        (lambda f: truncate(f / TRANSFORMER), f"{TRANSFORMER} is damaged"),
        (lambda f: (f / TRANSFORMER).write_bytes(b""), f"{TRANSFORMER} is damaged"),
        (lambda f: (f / TRANSFORMER).write_bytes(b"<html>not found</html>"), f"{TRANSFORMER} is damaged"),
        (lambda f: split(f)[1].unlink(), "misses diffusion_pytorch_model-00002-of-00002.safetensors"),
        (lambda f: truncate(split(f)[1]), "00002-of-00002.safetensors is damaged"),
    ],
)
@pytest.mark.fault(19, 20)
def test_a_folder_that_is_not_whole_is_refused_by_name(own: ModelSpec, damage: Damage, said: str) -> None:
    damage(own.folder)
    assert said in refuse(own)


@pytest.mark.parametrize("shards", [None, 7, {}, {"a": "../../elsewhere.safetensors"}], ids=str)
@pytest.mark.fault(20, 37)
def test_an_index_that_names_no_shard_in_its_folder_is_refused(own: ModelSpec, shards: object) -> None:
    save_file({}, own.folder.parent / "elsewhere.safetensors")
    whole = own.folder / TRANSFORMER
    whole.with_name(f"{whole.name}.index.json").write_text(json.dumps({"weight_map": shards}))
    whole.unlink()
    assert "elsewhere" in refuse(own) if shards and isinstance(shards, dict) else "names no files" in refuse(own)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "diffusion_pytorch_model.ckpt"])
@pytest.mark.fault(21)
def test_a_pickle_is_refused_unread(own: ModelSpec, tmp_path: Path, name: str) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(tmp_path / "opened"),)

    (own.folder / "text_encoder" / "model.safetensors").unlink()
    (own.folder / "text_encoder" / name).write_bytes(pickle.dumps(Bomb()))
    assert f"holds {name}, a pickle, which Rushes never opens" in refuse(own)
    assert not (tmp_path / "opened").exists()


# As it is said ------------------------------------------------------------------------------------------------------
def test_folders_are_named_by_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a=b").symlink_to(SHIPPED)
    assert read_folders([f"miniature={SHIPPED}"]) == {"miniature": SHIPPED}
    assert read_folders(["miniature=~/a=b"]) == {"miniature": tmp_path / "a=b"}
    assert read_folders([]) == {}


@pytest.mark.parametrize("text", ["miniature", "=folder", "miniature=", ""])
def test_what_names_no_folder_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--weights MODEL=DIR") as refusal:
        read_folders([text])
    assert refusal.value.field == "weights"


def test_a_model_there_is_none_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Models: miniature, "):
        read_folders([f"sora={tmp_path}"])


def test_a_folder_is_checked_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(DraftError, match="has no model_index"):
        read_folders([f"ltx-13b={tmp_path}"])


def test_a_folder_holds_all_of_a_model_that_is_published_in_two_places(tmp_path: Path) -> None:
    assert LTX_2B_DISTILLED.files
    assert WAN_A14B_LIGHTNING.files
    assert not LTX_2B_DISTILLED.kept_in(tmp_path).files
    assert not WAN_A14B_LIGHTNING.kept_in(tmp_path).files
    assert LTX_13B.kept_in(None) is LTX_13B
