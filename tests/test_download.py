"""A checkpoint comes from a hub into Hugging Face's cache: what is asked for, what is resumed, what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download, snapshot_download

from pipeline import download as downloading
from pipeline.download import DownloadEvent, DownloadFinished, DownloadProgress, DownloadStarted, download
from pipeline.errors import InvalidRequest, ModelUnavailable, WriteFailed
from pipeline.gpu.loading import find_checkpoint
from pipeline.gpu.revisions import LOCK, recorded_revision
from pipeline.plan.catalog import CATALOG, LTX_2B, LTX_2B_DISTILLED, MINIATURE
from pipeline.plan.spec import ModelSpec
from pipeline.repository import RemoteFile, is_wanted, list_files
from pipeline.weights import find_absent_weights
from tests.fake_hub import COMMIT, UNWANTED, Asked, FakeHub
from tests.tiny import of

REPOSITORY = LTX_2B.repository
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


pytestmark = pytest.mark.usefixtures("fake_hub")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a dropped connection is tried again."""
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)


def fetch(spec: ModelSpec = LTX_2B, **options: str) -> list[DownloadEvent]:
    events: list[DownloadEvent] = []
    download(spec, events.append, **options)
    return events


def refusal(spec: ModelSpec = LTX_2B, **options: str) -> str:
    with pytest.raises((ModelUnavailable, WriteFailed)) as refused:
        fetch(spec, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def remote(name: str) -> RemoteFile:
    return next(file for file in list_files(LTX_2B) if file.name == name)


# What comes ---------------------------------------------------------------------------------------------------------
def test_what_was_downloaded_is_found_without_a_network(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = find_checkpoint(LTX_2B).folder
    assert folder.name == COMMIT
    assert not find_absent_weights(LTX_2B).components
    came = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    there = {path.relative_to(tiny): path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    assert came == {name: content for name, content in there.items() if name.parts[0] != "preview"}


def test_only_what_is_opened_is_asked_for(fake_hub: FakeHub, tmp_path: Path) -> None:
    fetch()
    assert not {asked.name for asked in fake_hub.asked} & UNWANTED.keys()
    assert not list(tmp_path.rglob("*evil*"))
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".py", ".ckpt", ".incomplete")]


@pytest.mark.parametrize("spec", [spec for spec in CATALOG.values() if spec.repository], ids=lambda spec: spec.key)
def test_the_folders_wanted_are_those_of_the_catalog_s_networks(spec: ModelSpec) -> None:
    shard = "diffusion_pytorch_model-00001-of-00003.safetensors"
    replaced = {"transformer", "vae"} if spec is LTX_2B_DISTILLED else set()
    folders = ("text_encoder", "text_encoder_2", "transformer", "transformer_2", "vae", "image_encoder")
    assert {name for name in folders if is_wanted(spec, f"{name}/config.json")} == set(spec.networks)
    assert {name for name in folders if is_wanted(spec, f"{name}/{shard}")} == set(spec.networks) - replaced
    assert is_wanted(spec, "tokenizer/spiece.model")
    assert is_wanted(spec, "scheduler/scheduler_config.json")


def test_progress_is_told_in_bytes_of_the_whole() -> None:
    events = fetch()
    (start,), (end,) = of(DownloadStarted, events), of(DownloadFinished, events)
    steps = of(DownloadProgress, events)
    assert (start.done_bytes, start.licence) == (0, LTX_2B.licence)
    assert [step.done_bytes for step in steps] == sorted(step.done_bytes for step in steps)
    assert {step.total_bytes for step in steps} == {start.total_bytes}
    assert steps[-1].done_bytes == start.total_bytes == end.received_bytes == end.total_bytes
    assert len({step.file for step in steps}) == start.files
    assert events[-1] is end


@pytest.mark.fault(18)
def test_what_is_here_already_is_not_asked_for_again(fake_hub: FakeHub) -> None:
    fetch()
    fake_hub.asked.clear()
    (end,) = fetch()
    assert isinstance(end, DownloadFinished)
    assert end.received_bytes == 0
    assert fake_hub.asked == [Asked("GET", "list")]


def test_what_huggingface_hub_brought_is_taken_as_it_is(fake_hub: FakeHub) -> None:
    for name in UNWANTED:
        del fake_hub.files[REPOSITORY][name]
    snapshot_download(REPOSITORY)
    fake_hub.asked.clear()
    (end,) = fetch()
    assert fake_hub.asked == [Asked("GET", "list")]
    assert find_checkpoint(LTX_2B).folder == Path(end.folder)


def test_a_transformer_from_a_file_of_its_own_comes_without_the_one_it_replaces(fake_hub: FakeHub) -> None:
    (file,) = LTX_2B_DISTILLED.files
    repository, name = file.repository, file.name
    content = fake_hub.files[REPOSITORY][TRANSFORMER]
    fake_hub.files[repository] = {name: content, "ltxv-13b.safetensors": content, "model_index.json": b"{}"}
    fetch(LTX_2B_DISTILLED)
    assert not find_absent_weights(LTX_2B_DISTILLED).components
    asked = {asked.name for asked in fake_hub.fetched()}
    assert {name, "transformer/config.json", "vae/config.json", "text_encoder/model.safetensors"} <= asked
    assert not asked & {TRANSFORMER, "vae/diffusion_pytorch_model.safetensors", "ltxv-13b.safetensors"}
    record = json.loads((Path(constants.HF_HUB_CACHE) / LOCK).read_text())
    assert record == {REPOSITORY: COMMIT, repository: COMMIT}


def test_what_huggingface_hub_lists_and_rushes_leaves_out_is_not_missed(fake_hub: FakeHub) -> None:
    for name in [name for name in UNWANTED if name[0] in "./" or "evil" in name]:
        del fake_hub.files[REPOSITORY][name]
    snapshot_download(REPOSITORY, allow_patterns="model_index.json")  # keeps a list of the whole repository
    fetch()
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


def test_without_links_in_the_cache_files_come_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "are_symlinks_supported", lambda _: False)
    fetch()
    folder = find_checkpoint(LTX_2B).folder
    assert not [path for path in folder.rglob("*") if path.is_symlink()]


def test_the_miniature_is_never_downloaded(fake_hub: FakeHub) -> None:
    (end,) = fetch(MINIATURE)
    assert end.received_bytes == 0
    assert not fake_hub.asked


@pytest.mark.parametrize(("forbidden", "sent"), [(False, {"Bearer hf_secret"}), (True, set())])
def test_a_token_is_sent_unless_that_is_forbidden(
    fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch, forbidden: bool, sent: set[str]
) -> None:
    """As HF_HUB_DISABLE_IMPLICIT_TOKEN says."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", forbidden)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch()
    assert fake_hub.tokens == sent


# Going on -----------------------------------------------------------------------------------------------------------
@pytest.mark.fault(18)
@pytest.mark.fault(18)
def test_a_dropped_connection_is_taken_up_at_the_same_byte(fake_hub: FakeHub) -> None:
    fake_hub.drops[TRANSFORMER] = 5000
    fetch()
    assert [asked.start for asked in fake_hub.fetched() if asked.name == TRANSFORMER] == [0, 4096]
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


def fail_half_way(fake_hub: FakeHub) -> None:
    """The connection drops in the middle of the transformer, and the server is out of order after that."""
    fake_hub.drops[TRANSFORMER], fake_hub.fails_after_drop = 5000, True
    assert "Run the same command again later: what came is kept." in refusal()
    fake_hub.refuses.clear()


@pytest.mark.fault(18)
@pytest.mark.fault(18)
def test_an_interrupted_download_goes_on_where_it_stopped(fake_hub: FakeHub) -> None:
    fail_half_way(fake_hub)
    assert recorded_revision(LTX_2B) is None
    before = {asked.name for asked in fake_hub.fetched()} - {TRANSFORMER}
    fake_hub.asked.clear()
    events = fetch()
    assert [asked.start for asked in fake_hub.fetched() if asked.name == TRANSFORMER] == [4096]
    assert not before & {asked.name for asked in fake_hub.fetched()}
    start, end = events[0], events[-1]
    assert start.done_bytes > 4096
    assert end.received_bytes == start.total_bytes - start.done_bytes
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


@pytest.mark.fault(18)
@pytest.mark.fault(18)
def test_a_server_that_cannot_go_on_begins_anew(fake_hub: FakeHub) -> None:
    fail_half_way(fake_hub)
    fake_hub.ranges = False
    steps = of(DownloadProgress, fetch())
    assert steps[-1].done_bytes == steps[-1].total_bytes
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


@pytest.mark.fault(18)
@pytest.mark.fault(18)
def test_a_beginning_that_is_not_this_file_s_is_found_out() -> None:
    file = remote(TRANSFORMER)
    waiting = file.blob.with_name(f"{file.digest}.incomplete")
    waiting.parent.mkdir(parents=True)
    waiting.write_bytes(b"x" * 4096)
    assert "came damaged and was deleted" in refusal()
    assert not waiting.exists()
    waiting.write_bytes(b"x" * (file.size_bytes + 1))
    fetch()
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


@pytest.mark.fault(18)
def test_two_downloads_do_not_mix_their_bytes() -> None:
    with downloading._claimed(LTX_2B, [REPOSITORY]):
        assert "Another Rushes is downloading" in refusal()
    fetch()


# Revisions ----------------------------------------------------------------------------------------------------------
def test_the_revision_is_recorded_and_kept(fake_hub: FakeHub) -> None:
    fetch()
    assert recorded_revision(LTX_2B) == COMMIT
    fake_hub.commit = "d" * 40  # and nobody knows the one before any more
    (end,) = fetch()
    assert (Path(end.folder).name, end.received_bytes) == (COMMIT, 0)
    assert recorded_revision(LTX_2B) == find_checkpoint(LTX_2B).folder.name == COMMIT
    shutil.rmtree(Path(end.folder) / "vae")
    assert "has no such revision, or no longer" in refusal()


def test_a_revision_that_is_asked_for_is_used_from_then_on(fake_hub: FakeHub) -> None:
    fetch()
    fake_hub.commit, before = "d" * 40, len(fake_hub.fetched())
    end = fetch(revision=fake_hub.commit)[-1]
    assert recorded_revision(LTX_2B) == fake_hub.commit
    assert find_checkpoint(LTX_2B).folder.name == fake_hub.commit
    assert end.received_bytes == 0
    assert len(fake_hub.fetched()) == before  # the same content under another commit


@pytest.mark.parametrize(("name", "value"), [("HF_HUB_OFFLINE", True), ("ENDPOINT", "http://127.0.0.1:9")])
def test_a_revision_that_is_here_is_used_from_then_on_without_a_network(
    fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch, name: str, value: bool | str
) -> None:
    fetch()
    fake_hub.commit = "d" * 40
    fetch(revision=fake_hub.commit)
    monkeypatch.setattr(constants, name, value)
    (end,) = fetch(revision=COMMIT)
    assert isinstance(end, DownloadFinished)
    assert recorded_revision(LTX_2B) == Path(end.folder).name == COMMIT
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


def test_the_catalog_s_revision_is_not_argued_with() -> None:
    pinned = replace(LTX_2B, revision=COMMIT)
    with pytest.raises(InvalidRequest, match="as of cccc"):
        fetch(pinned, revision="d" * 40)
    fetch(pinned)
    assert not (Path(constants.HF_HUB_CACHE) / LOCK).exists()
