"""Whatever keeps a checkpoint from coming is one sentence that says what to do; what came damaged is gone again."""

import json
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from pipeline import download as downloading
from pipeline import repository
from pipeline.download import DownloadEvent, download
from pipeline.errors import DoesNotFit, DraftError, ModelUnavailable, WriteFailed
from pipeline.gpu.loading import find_checkpoint
from pipeline.gpu.revisions import LOCK, recorded_revision
from pipeline.plan.catalog import LTX_2B, LTX_2B_DISTILLED
from pipeline.plan.spec import ModelSpec
from pipeline.repository import list_files
from tests.fake_hub import COMMIT, FakeHub

REPOSITORY = LTX_2B.repository
NOBODY = "http://127.0.0.1:9"  # nothing listens there
VAE = "vae/diffusion_pytorch_model.safetensors"
Disk = namedtuple("Disk", "total used free")

pytestmark = pytest.mark.usefixtures("fake_hub")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a dropped connection is tried again."""
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)


def fetch(spec: ModelSpec = LTX_2B, **options: str) -> list[DownloadEvent]:
    events: list[DownloadEvent] = []
    download(spec, events.append, **options)
    return events


def refusal(kind: type[DraftError] = ModelUnavailable, spec: ModelSpec = LTX_2B, **options: str) -> str:
    with pytest.raises(kind) as refused:
        fetch(spec, **options)
    assert "\n" not in str(refused.value)
    assert refused.value.hint
    assert recorded_revision(spec) is None
    return str(refused.value)


def cached() -> list[Path]:
    return [path for path in Path(constants.HF_HUB_CACHE).rglob("*") if path.is_file() and "vae" in path.parts]


# The hub ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("RepoNotFound", "shows no repository Lightricks/LTX-Video-0.9.5. It was removed or made private."),
        ("GatedRepo", "accepted its licence. Accept the licence at http"),
        (401, "log in with: hf auth login"),
        (403, "log in with: hf auth login"),
        (404, "answered with an error (404)"),
        ("RevisionNotFound", "has no such revision, or no longer."),
        (500, "answered with an error (500)"),
        (503, "answered with an error (503)"),
    ],
)
def test_a_list_of_files_that_is_refused(fake_hub: FakeHub, answer: int | str, said: str) -> None:
    fake_hub.refuses["list"] = answer
    assert said in refusal()
    assert not fake_hub.fetched()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("EntryNotFound", "no longer has a file that it lists"),
        ("GatedRepo", "Accept the licence at http"),
        (403, "hf auth login"),
        (500, "answered with an error (500)"),
    ],
)
@pytest.mark.parametrize("name", [VAE, "vae/config.json"])
def test_a_file_that_is_refused(fake_hub: FakeHub, name: str, answer: int | str, said: str) -> None:
    fake_hub.refuses[name] = answer
    assert said in refusal()
    fake_hub.refuses.clear()
    fetch()


def test_a_revision_that_does_not_exist() -> None:
    assert "/commits/main with --revision." in refusal(revision="no-such-branch")


def test_a_repository_that_is_no_checkpoint(fake_hub: FakeHub) -> None:
    del fake_hub.files[REPOSITORY]["model_index.json"]
    with pytest.raises(ModelUnavailable, match=r"has no model_index.json"):
        fetch()
    assert not fake_hub.fetched()


def test_a_repository_without_one_of_the_networks(fake_hub: FakeHub) -> None:
    del fake_hub.files[REPOSITORY][VAE]
    assert "holds no whole vae" in refusal()


def test_a_transformer_file_that_is_gone(fake_hub: FakeHub) -> None:
    fake_hub.files[LTX_2B_DISTILLED.files[0].repository] = {"README.md": b""}
    assert "no longer has ltxv-2b-0.9.8-distilled.safetensors" in refusal(spec=LTX_2B_DISTILLED)
    assert not fake_hub.fetched()


def test_something_else_that_answers_in_the_hub_s_place(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_hub, "commit", "../../../evil")
    with pytest.raises(ModelUnavailable, match="does not say which commit"):
        fetch()
    monkeypatch.setattr(json, "dumps", lambda *_, **__: "<html>Pay for your coffee first</html>")
    with pytest.raises(ModelUnavailable, match="The connection to Hugging Face failed"):
        fetch()


@pytest.mark.fault(37)
def test_a_digest_that_leads_out_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {"size": 2, "blobId": "../../evil"}
    monkeypatch.setattr("tests.fake_hub.digests", lambda *_: listed)
    with pytest.raises(ModelUnavailable, match="does not say how large"):
        fetch()


# The network --------------------------------------------------------------------------------------------------------
@pytest.mark.fault(22)
def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", NOBODY)
    said = refusal()
    assert "The connection to Hugging Face failed" in said
    assert "Check the connection and run the same command again" in said


@pytest.mark.fault(22)
def test_a_hub_that_takes_the_call_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of files is waited for no longer than the limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(repository, "TIMEOUT_SECONDS", 0.2)
        assert "The connection to Hugging Face failed" in refusal()


def test_no_network_and_nothing_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch()
    monkeypatch.setattr(constants, "ENDPOINT", NOBODY)
    (end,) = fetch()
    assert (Path(end.folder).name, end.received_bytes) == (COMMIT, 0)


def test_a_connection_that_breaks_again_and_again(fake_hub: FakeHub) -> None:
    class Always(dict):
        def pop(self, name: str, _: object) -> int | None:
            return 0 if name == VAE else None

    fake_hub.drops = Always()
    assert "what came is kept" in refusal()
    fake_hub.drops = {}
    fetch()


@pytest.mark.fault(22)
def test_offline_mode_asks_nobody(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "Nothing is downloaded while HF_HUB_OFFLINE is set" in refusal()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    fetch()
    fake_hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (end,) = fetch()
    assert end.received_bytes == 0
    assert not fake_hub.asked
    content = fake_hub.files[REPOSITORY][VAE]
    (Path(end.folder) / VAE).resolve().write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelUnavailable, match="is not what was published"):
        fetch()
    (Path(end.folder) / VAE).resolve().write_bytes(b"torn")
    with pytest.raises(ModelUnavailable, match="is damaged"):
        fetch()


# The disk -----------------------------------------------------------------------------------------------------------
@pytest.mark.fault(17)
def test_a_disk_that_is_too_small_is_told_before_a_byte_comes(
    fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    need, reserve = sum(file.size_bytes for file in list_files(LTX_2B)), downloading.RESERVE_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, reserve + need - 1))
    with pytest.raises(DoesNotFit, match="free some disk, or let HF_HOME name") as refused:
        fetch()
    assert (refused.value.need_bytes, refused.value.budget_bytes) == (need, need - 1)
    assert not fake_hub.fetched()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, reserve + need))
    fetch()


@pytest.mark.fault(17)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.fault(17)
def test_a_disk_that_fills_up_on_the_way() -> None:
    file = next(file for file in list_files(LTX_2B) if file.name == VAE)
    waiting = file.blob.with_name(f"{file.digest}.incomplete")
    waiting.parent.mkdir(parents=True)
    waiting.symlink_to("/dev/full")
    assert "is full. Free some disk and run the same command again: what came is kept." in refusal(WriteFailed)
    waiting.unlink()
    fetch()


def test_a_cache_that_cannot_be_written() -> None:
    locks = Path(constants.HF_HUB_CACHE) / ".locks"
    locks.parent.mkdir()
    locks.touch()
    assert "cannot be written" in refusal(WriteFailed)


# What comes damaged -------------------------------------------------------------------------------------------------
@pytest.mark.fault(18)
def test_a_file_that_came_damaged_is_named_and_deleted(fake_hub: FakeHub) -> None:
    content = fake_hub.files[REPOSITORY][VAE]
    fake_hub.breaks[VAE] = content[:-1] + bytes([content[-1] ^ 1])  # one bit of one weight
    assert f"{VAE} of {REPOSITORY} came damaged and was deleted" in refusal()
    assert not [path for path in cached() if path.name == Path(VAE).name]
    fake_hub.breaks.clear()
    fetch()
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


@pytest.mark.parametrize("name", [VAE, "vae/config.json"])
@pytest.mark.parametrize("more", [-1, 1])
@pytest.mark.fault(18)
def test_a_file_of_another_length_than_listed_is_named_and_deleted(fake_hub: FakeHub, name: str, more: int) -> None:
    fake_hub.lies[name] = len(fake_hub.files[REPOSITORY][name]) + more
    assert f"{name} of {REPOSITORY} came damaged and was deleted" in refusal()
    fake_hub.lies.clear()
    fetch()


@pytest.mark.fault(19)
def test_weights_that_are_none_are_refused_though_the_list_agrees(fake_hub: FakeHub) -> None:
    content = fake_hub.files[REPOSITORY][VAE]
    fake_hub.files[REPOSITORY][VAE] = b"<html>not found</html>"
    assert "came damaged and was deleted" in refusal()
    fake_hub.files[REPOSITORY][VAE] = content
    fetch()


@pytest.mark.parametrize("damage", [b"", b"torn", None], ids=["empty", "short", "another header"])
def test_a_file_that_was_damaged_here_is_told_and_comes_again(
    fake_hub: FakeHub, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    content = fake_hub.files[REPOSITORY][VAE]
    folder = download(LTX_2B, lambda _: None)
    (folder / VAE).resolve().write_bytes(b"\xff" * len(content) if damage is None else damage)
    fake_hub.asked.clear()
    fetch()
    assert f"{VAE} is damaged" in caplog.text
    assert [asked.name for asked in fake_hub.fetched()] == [VAE]
    assert (folder / VAE).read_bytes() == content


@pytest.mark.fault(18)
@pytest.mark.parametrize("linked", [True, False], ids=["linked", "its link deleted"])
@pytest.mark.parametrize("name", [VAE, "vae/config.json"])
def test_content_that_changed_and_not_its_length_comes_again(fake_hub: FakeHub, name: str, linked: bool) -> None:
    content = fake_hub.files[REPOSITORY][name]
    folder = download(LTX_2B, lambda _: None)
    (folder / name).resolve().write_bytes(content[:-2] + bytes([content[-2] ^ 1, content[-1]]))
    if not linked:
        (folder / name).unlink()
    fake_hub.asked.clear()
    events = fetch()
    assert [asked.name for asked in fake_hub.fetched()] == [name]
    assert (folder / name).read_bytes() == content
    assert events[-1].received_bytes == len(content)


def test_a_link_that_leads_nowhere_is_mended(fake_hub: FakeHub) -> None:
    folder = download(LTX_2B, lambda _: None)
    (folder / VAE).resolve().unlink()
    fetch()
    assert (folder / VAE).read_bytes() == fake_hub.files[REPOSITORY][VAE]


def test_a_record_that_cannot_be_read_is_not_written_over() -> None:
    lock = Path(constants.HF_HUB_CACHE) / LOCK
    lock.parent.mkdir()
    lock.write_text("{")
    with pytest.raises(ModelUnavailable, match="Delete it"):
        fetch()
    assert lock.read_text() == "{"
