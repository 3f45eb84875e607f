"""What has to be downloaded is told from Hugging Face's cache as it is, interrupted downloads included."""

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest

from pipeline import weights
from pipeline.gpu.revisions import LOCK
from pipeline.plan.catalog import CATALOG, LTX_2B, LTX_2B_DISTILLED, MINIATURE, WAN_A14B, WAN_A14B_LIGHTNING
from pipeline.plan.spec import Component, ModelSpec
from pipeline.weights import find_absent_weights

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILE = {Component.TEXT_ENCODER: "model"}
Keeper = Callable[..., Path]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def keep(hub: Path) -> Keeper:
    """Put files of a repository into the cache, as a download leaves them."""

    def keep_files(repository: str, *names: str) -> Path:
        place = hub / f"models--{repository.replace('/', '--')}"
        (place / "refs").mkdir(parents=True, exist_ok=True)
        (place / "refs" / "main").write_text(REVISION)
        for name in names:
            file = place / "snapshots" / REVISION / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"{}")
        return place / "snapshots" / REVISION

    return keep_files


def files_of(spec: ModelSpec) -> list[str]:
    parts = [f"{part}/{FILE.get(part, 'diffusion_pytorch_model')}.safetensors" for part in spec.networks]
    return ["model_index.json", *parts]


@pytest.mark.parametrize("spec", [spec for spec in CATALOG.values() if spec.repository], ids=lambda spec: spec.key)
def test_without_any_download_everything_is_absent(spec: ModelSpec) -> None:
    absent = find_absent_weights(spec)
    assert set(absent.components) == set(spec.networks)
    in_files = sum(network.parameters for part, network in spec.networks.items() if part in spec.originals)
    files = sum(file.size_bytes for file in spec.files)
    assert absent.download_bytes == 2 * (spec.parameters - in_files) + files
    assert absent.download_bytes == pytest.approx(2 * spec.parameters, rel=0.05)
    assert absent.commands == (f"python -m pipeline download {spec.key}",)


def test_the_miniature_is_here() -> None:
    absent = find_absent_weights(MINIATURE)
    assert (absent.components, absent.download_bytes, absent.commands) == ((), 0, ())


def test_a_miniature_that_was_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    assert find_absent_weights(MINIATURE).commands == ("git checkout -- assets",)


def test_what_was_downloaded_whole_is_here(keep: Keeper) -> None:
    keep(LTX_2B.repository, *files_of(LTX_2B))
    assert find_absent_weights(LTX_2B).components == ()


def test_a_component_whose_shards_are_not_all_here_is_absent(keep: Keeper) -> None:
    folder = keep(LTX_2B.repository, *files_of(LTX_2B))
    shards = [f"model-0000{index}-of-00002.safetensors" for index in (1, 2)]
    (folder / "text_encoder" / "model.safetensors").rename(folder / "text_encoder" / shards[0])
    index = folder / "text_encoder" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}))
    absent = find_absent_weights(LTX_2B)
    assert absent.components == (Component.TEXT_ENCODER,)
    assert absent.download_bytes == 2 * LTX_2B.text_encoder.parameters
    (folder / "text_encoder" / shards[1]).touch()
    assert find_absent_weights(LTX_2B).components == ()


@pytest.mark.parametrize("content", ["", "[]", '{"weight_map": 7}', "{" * 10], ids=["empty", "list", "number", "torn"])
def test_an_index_that_cannot_be_read_is_not_believed(keep: Keeper, content: str) -> None:
    folder = keep(LTX_2B.repository, *files_of(LTX_2B))
    (folder / "vae" / "diffusion_pytorch_model.safetensors.index.json").write_text(content)
    assert find_absent_weights(LTX_2B).components == (Component.VAE,)


def test_a_transformer_from_a_file_of_its_own_is_looked_for_there(keep: Keeper) -> None:
    keep(LTX_2B_DISTILLED.repository, "model_index.json", "text_encoder/model.safetensors")
    (file,) = LTX_2B_DISTILLED.files
    absent = find_absent_weights(LTX_2B_DISTILLED)
    assert absent.components == (Component.TRANSFORMER, Component.VAE)
    assert absent.commands == ("python -m pipeline download ltx-2b-distilled",)
    keep(file.repository, file.name)
    assert find_absent_weights(LTX_2B_DISTILLED).components == ()


def test_what_is_missing_of_a_lora_s_component_is_the_lora_alone(keep: Keeper) -> None:
    high, low = WAN_A14B_LIGHTNING.files
    keep(WAN_A14B.repository, *files_of(WAN_A14B))
    assert find_absent_weights(WAN_A14B).components == ()
    absent = find_absent_weights(WAN_A14B_LIGHTNING)
    assert absent.components == (Component.TRANSFORMER, Component.TRANSFORMER_2)
    assert absent.download_bytes == high.size_bytes + low.size_bytes
    keep(high.repository, high.name)
    absent = find_absent_weights(WAN_A14B_LIGHTNING)
    assert (absent.components, absent.download_bytes) == ((Component.TRANSFORMER_2,), low.size_bytes)
    keep(low.repository, low.name)
    assert find_absent_weights(WAN_A14B_LIGHTNING).components == ()


def test_the_recorded_revision_counts_and_not_where_the_branch_is_now(hub: Path, keep: Keeper) -> None:
    keep(LTX_2B.repository, *files_of(LTX_2B))
    (hub / "models--Lightricks--LTX-Video-0.9.5" / "refs" / "main").write_text("f" * 40)
    assert set(find_absent_weights(LTX_2B).components) == set(LTX_2B.networks)
    (hub / LOCK).write_text(json.dumps({LTX_2B.repository: REVISION}))
    assert find_absent_weights(LTX_2B).components == ()
