"""Which models are here is told from the disk as it is, interrupted downloads and broken caches included."""

import json
import shutil
import socket
from pathlib import Path

import huggingface_hub
import pytest

from pipeline import weights
from pipeline.gpu.loading import ASSETS
from pipeline.gpu.revisions import LOCK
from pipeline.installed import Presence, find_installation
from pipeline.plan.catalog import CATALOG, LTX_2B, LTX_2B_DISTILLED, MINIATURE, WAN_A14B, WAN_A14B_LIGHTNING
from pipeline.plan.spec import Component, ModelSpec
from tests.test_weights import REVISION, Keeper, files_of, hub, keep

__all__ = ["hub", "keep"]
REPOSITORIES = [spec for spec in CATALOG.values() if spec.repository]
PLACE = "models--Lightricks--LTX-Video-0.9.5"


def whole(spec: ModelSpec) -> list[str]:
    configurations = [f"{part}/config.json" for part in spec.networks]
    return [*files_of(spec), *configurations, "tokenizer/tokenizer.json", "scheduler/scheduler_config.json"]


def test_the_miniature_is_shipped() -> None:
    here = find_installation(MINIATURE)
    assert (here.presence, here.usable, here.folder) == (Presence.SHIPPED, True, ASSETS / "miniature")
    assert here.here_bytes > 30e6
    assert (here.download_bytes, here.command, here.obstacle) == (0, "", "")


def test_a_miniature_that_was_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    here = find_installation(MINIATURE)
    assert (here.presence, here.usable, here.command) == (Presence.ABSENT, False, "git checkout -- assets")


@pytest.mark.parametrize("spec", REPOSITORIES, ids=lambda spec: spec.key)
def test_what_was_never_downloaded_is_absent(spec: ModelSpec) -> None:
    here = find_installation(spec)
    assert (here.presence, here.usable, here.here_bytes, here.folder) == (Presence.ABSENT, False, 0, None)
    in_folder = sum(network.parameters for part, network in spec.networks.items() if part not in spec.originals)
    assert here.download_bytes == 2 * in_folder + sum(file.size_bytes for file in spec.files)
    assert here.command == f"python -m pipeline download {spec.key}"


@pytest.mark.parametrize("spec", [spec for spec in REPOSITORIES if not spec.files], ids=lambda s: s.key)
def test_what_was_downloaded_whole_can_be_used(keep: Keeper, spec: ModelSpec) -> None:
    folder = keep(spec.repository, *whole(spec), "README.md", "text_encoder/model.fp16.safetensors")
    here = find_installation(spec)
    assert (here.presence, here.usable, here.folder) == (Presence.CACHED, True, folder)
    assert here.here_bytes == 2 * len(whole(spec))  # `keep` writes two bytes; what nobody opens is not counted
    assert (here.download_bytes, here.command) == (0, "")


def test_a_model_in_two_places_is_whole_with_both(keep: Keeper) -> None:
    keep(LTX_2B.repository, *whole(LTX_2B))
    assert find_installation(LTX_2B).usable
    keep(WAN_A14B.repository, *whole(WAN_A14B))
    for spec in (LTX_2B_DISTILLED, WAN_A14B_LIGHTNING):
        half = find_installation(spec)
        assert (half.presence, half.here_bytes > 0) == (Presence.PARTIAL, True)
        assert half.download_bytes == sum(file.size_bytes for file in spec.files)
        for file in spec.files:
            assert not find_installation(spec).usable
            keep(file.repository, file.name)
        assert find_installation(spec).usable
        assert find_installation(spec).here_bytes >= half.here_bytes + 2 * len(spec.files)


# Interrupted downloads ----------------------------------------------------------------------------------------------
def test_without_a_configuration_it_is_partly_here(keep: Keeper) -> None:
    (keep(LTX_2B.repository, *whole(LTX_2B)) / "vae" / "config.json").unlink()
    assert find_installation(LTX_2B).presence is Presence.PARTIAL


@pytest.mark.parametrize("part", ["tokenizer", "scheduler", "text_encoder", "transformer", "vae"])
def test_without_one_part_it_is_partly_here(keep: Keeper, part: str) -> None:
    shutil.rmtree(keep(LTX_2B.repository, *whole(LTX_2B)) / part)
    here = find_installation(LTX_2B)
    assert (here.presence, here.usable) == (Presence.PARTIAL, False)
    assert here.download_bytes == (2 * LTX_2B.networks[Component(part)].parameters if part in list(Component) else 0)
    assert here.command == "python -m pipeline download ltx-2b"


def test_before_a_revision_is_recorded_what_came_is_counted(hub: Path, keep: Keeper) -> None:
    keep(LTX_2B.repository, "model_index.json", "text_encoder/model.safetensors")
    shutil.rmtree(hub / PLACE / "refs")
    here = find_installation(LTX_2B)
    assert (here.presence, here.here_bytes, here.folder) == (Presence.PARTIAL, 4, None)


def test_the_beginning_of_a_file_is_counted(hub: Path) -> None:
    (hub / PLACE / "blobs").mkdir(parents=True)
    (hub / PLACE / "blobs" / f"{'a' * 64}.incomplete").write_bytes(bytes(1000))
    here = find_installation(LTX_2B)
    assert (here.presence, here.here_bytes) == (Presence.PARTIAL, 1000)
    assert here.download_bytes == 2 * LTX_2B.parameters - 1000


def test_a_link_to_what_was_deleted_is_not_here(keep: Keeper) -> None:
    folder = keep(LTX_2B.repository, *whole(LTX_2B))
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "vae" / "diffusion_pytorch_model.safetensors").symlink_to("../../../blobs/gone")
    assert find_installation(LTX_2B).presence is Presence.PARTIAL


# Folders of one's own -----------------------------------------------------------------------------------------------
def test_a_folder_of_ones_own_is_looked_at_anew(tmp_path: Path) -> None:
    spec = MINIATURE.kept_in(Path(shutil.copytree(ASSETS / "miniature", tmp_path / "mine")))
    here = find_installation(spec)
    assert (here.presence, here.usable, here.folder) == (Presence.FOLDER, True, tmp_path / "mine")
    assert here.here_bytes == find_installation(MINIATURE).here_bytes
    shutil.rmtree(tmp_path / "mine" / "vae")
    broken = find_installation(spec)
    assert (broken.presence, broken.usable) == (Presence.FOLDER, False)
    assert str(tmp_path / "mine" / "vae") in broken.obstacle


def test_a_folder_counts_and_not_what_is_in_the_cache(keep: Keeper, tmp_path: Path) -> None:
    keep(LTX_2B.repository, *whole(LTX_2B))
    assert "has no model_index.json" in find_installation(LTX_2B.kept_in(tmp_path)).obstacle


# Broken caches ------------------------------------------------------------------------------------------------------
def break_record(hub: Path) -> None:
    (hub / LOCK).write_text("{")


def break_reference(hub: Path) -> None:
    (hub / PLACE / "refs" / "main").write_bytes(b"\xff\xfe\x00")


def break_snapshot(hub: Path) -> None:
    shutil.rmtree(hub / PLACE / "snapshots" / REVISION)
    (hub / PLACE / "snapshots" / REVISION).write_text("a file")


def break_index(hub: Path) -> None:
    index = hub / PLACE / "snapshots" / REVISION / "model_index.json"
    index.unlink()
    index.symlink_to(index)


def break_shards(hub: Path) -> None:
    vae = hub / PLACE / "snapshots" / REVISION / "vae"
    (vae / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": [["a"]]}))


def break_everything(hub: Path) -> None:
    shutil.rmtree(hub)
    hub.write_text("a file")


@pytest.mark.parametrize(
    "damage", [break_record, break_reference, break_snapshot, break_index, break_shards, break_everything]
)
def test_a_broken_cache_is_told_and_never_raised(hub: Path, keep: Keeper, damage: Keeper) -> None:
    keep(LTX_2B.repository, *whole(LTX_2B))
    assert find_installation(LTX_2B).usable
    damage(hub)
    here = find_installation(LTX_2B)
    assert not here.usable
    assert here.command or here.obstacle
    assert find_installation(MINIATURE).usable


def test_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert [find_installation(spec).usable for spec in CATALOG.values()].count(True) == 1
