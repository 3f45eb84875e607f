"""A repository's revision is taken once and kept to, so that the same name never means other weights."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from pipeline.errors import ModelUnavailable
from pipeline.gpu.loading import find_checkpoint
from pipeline.gpu.revisions import LOCK, recorded_revision
from pipeline.plan.catalog import LTX_2B

SPEC = replace(LTX_2B, repository="somebody/something")
FIRST, SECOND = "a" * 40, "b" * 40


class Hub:
    """Hugging Face's cache as a download leaves it; links stand for branches."""

    def __init__(self, folder: Path, tiny: Path) -> None:
        self.folder, self.tiny = folder, tiny
        self.repository = folder / "models--somebody--something"

    def download(self, commit: str) -> Path:
        """`main` points to `commit` now, and that is here."""
        (self.repository / "refs").mkdir(parents=True, exist_ok=True)
        (self.repository / "refs" / "main").write_text(commit)
        return Path(shutil.copytree(self.tiny, self.repository / "snapshots" / commit))


@pytest.fixture
def hub(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return Hub(tmp_path / "hub", tiny)


def test_the_first_revision_is_recorded(hub: Hub) -> None:
    hub.download(FIRST)
    assert recorded_revision(SPEC) is None
    assert find_checkpoint(SPEC).folder.name == FIRST
    assert json.loads((hub.folder / LOCK).read_text()) == {SPEC.repository: FIRST}


def test_a_branch_that_was_moved_changes_nothing(hub: Hub) -> None:
    hub.download(FIRST)
    find_checkpoint(SPEC)
    hub.download(SECOND)
    assert find_checkpoint(SPEC).folder.name == FIRST


def test_where_only_another_revision_is_left_it_is_said_with_the_command(hub: Hub) -> None:
    hub.download(FIRST)
    find_checkpoint(SPEC)
    hub.download(SECOND)
    shutil.rmtree(hub.repository / "snapshots" / FIRST)
    with pytest.raises(ModelUnavailable, match="not on this machine in revision aaaaaaaaaaaa") as refusal:
        find_checkpoint(SPEC)
    assert refusal.value.hint == "Get it with: python -m pipeline download ltx-2b"  # which follows the record


def test_what_the_catalog_pins_is_never_recorded(hub: Hub) -> None:
    hub.download(FIRST)
    hub.download(SECOND)
    assert find_checkpoint(replace(SPEC, revision=FIRST)).folder.name == FIRST
    assert not (hub.folder / LOCK).exists()


def test_half_a_download_is_not_recorded(hub: Hub) -> None:
    shutil.rmtree(hub.download(FIRST) / "transformer")
    with pytest.raises(ModelUnavailable, match="transformer"):
        find_checkpoint(SPEC)
    assert recorded_revision(SPEC) is None


def test_other_records_are_kept(hub: Hub) -> None:
    hub.download(FIRST)
    (hub.folder / LOCK).write_text(json.dumps({"somebody/else": SECOND}))
    find_checkpoint(SPEC)
    assert json.loads((hub.folder / LOCK).read_text()) == {"somebody/else": SECOND, SPEC.repository: FIRST}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"somebody/something": 7}', "[" * 100_000])
def test_a_record_that_cannot_be_read_is_refused_and_not_written_over(hub: Hub, content: str) -> None:
    hub.download(FIRST)
    (hub.folder / LOCK).write_text(content)
    with pytest.raises(ModelUnavailable, match="cannot be read") as refusal:
        find_checkpoint(SPEC)
    assert "Delete it" in refusal.value.hint
    assert (hub.folder / LOCK).read_text() == content


def test_a_cache_that_cannot_be_written_is_used_all_the_same(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.download(FIRST)
    (hub.folder / LOCK).with_suffix(f".tmp{os.getpid()}").mkdir()
    assert find_checkpoint(SPEC).folder.name == FIRST
    assert "is not recorded" in caplog.text
