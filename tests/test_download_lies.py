"""A server that lies about lengths, sends too much or cannot go on: nothing of that is ever taken for a checkpoint."""

from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from pipeline.download import download
from pipeline.errors import ModelUnavailable
from pipeline.gpu.loading import find_checkpoint
from pipeline.plan.catalog import LTX_2B
from pipeline.repository import RemoteFile, list_files
from tests.fake_hub import COMMIT, FakeHub

REPOSITORY = LTX_2B.repository
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"

pytestmark = [pytest.mark.usefixtures("fake_hub"), pytest.mark.fault(18)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a dropped connection is tried again."""
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)


@pytest.fixture
def file() -> RemoteFile:
    return next(file for file in list_files(LTX_2B) if file.name == TRANSFORMER)


def waiting(file: RemoteFile) -> Path:
    return file.blob.with_name(f"{file.digest}.incomplete")


def refusal() -> str:
    with pytest.raises(ModelUnavailable) as refused:
        download(LTX_2B, lambda _: None)
    assert not list(Path(constants.HF_HUB_CACHE).glob(f"models--*/snapshots/*/{TRANSFORMER}"))
    return str(refused.value)


def comes_whole(fake_hub: FakeHub) -> None:
    folder = download(LTX_2B, lambda _: None)
    assert (folder / TRANSFORMER).read_bytes() == fake_hub.files[REPOSITORY][TRANSFORMER]
    assert find_checkpoint(LTX_2B).folder.name == COMMIT


def test_more_than_is_listed_is_cut_off_before_it_is_written(fake_hub: FakeHub, file: RemoteFile) -> None:
    largest = list[int]()

    def hear(_: object) -> None:
        largest.append(waiting(file).stat().st_size if waiting(file).exists() else 0)

    fake_hub.breaks[TRANSFORMER] = fake_hub.files[REPOSITORY][TRANSFORMER] + bytes(2**20)
    with pytest.raises(ModelUnavailable, match=f"more came than the {file.size_bytes} bytes that are listed"):
        download(LTX_2B, hear)
    assert max(largest) <= file.size_bytes
    assert not waiting(file).exists()
    fake_hub.breaks.clear()
    comes_whole(fake_hub)


def test_an_answer_shorter_than_it_says_is_told_and_taken_up(fake_hub: FakeHub, file: RemoteFile) -> None:
    fake_hub.says[TRANSFORMER] = file.size_bytes + 100
    assert "what came is kept" in refusal()
    came = waiting(file).stat().st_size
    assert 0 < came <= file.size_bytes
    fake_hub.says.clear()
    fake_hub.asked.clear()
    comes_whole(fake_hub)
    assert [asked.start for asked in fake_hub.fetched() if asked.name == TRANSFORMER] == [came]


def test_an_answer_longer_than_it_says_is_not_believed(fake_hub: FakeHub, file: RemoteFile) -> None:
    fake_hub.says[TRANSFORMER] = file.size_bytes - 100
    assert "came damaged and was deleted" in refusal()
    fake_hub.says.clear()
    comes_whole(fake_hub)


@pytest.mark.parametrize("came", ["its own", "another's"])
def test_a_server_that_answers_416_is_asked_for_the_whole(fake_hub: FakeHub, file: RemoteFile, came: str) -> None:
    content = fake_hub.files[REPOSITORY][TRANSFORMER]
    waiting(file).parent.mkdir(parents=True)
    waiting(file).write_bytes(content[:4096] if came == "its own" else b"x" * 4096)
    fake_hub.unsatisfiable.add(TRANSFORMER)
    comes_whole(fake_hub)
    assert [asked.start for asked in fake_hub.fetched() if asked.name == TRANSFORMER] == [4096, 0]


def test_a_server_that_answers_416_to_everything_is_told_once(fake_hub: FakeHub) -> None:
    fake_hub.refuses[TRANSFORMER] = 416
    assert "answered with an error (416)" in refusal()
