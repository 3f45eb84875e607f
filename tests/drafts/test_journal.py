"""A draft's folder never holds anything half-written, never hides a finished event, and gives away only its films."""

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors import SafetensorError

from pipeline.drafts import journal as journal_module
from pipeline.drafts.journal import (
    ID_PATTERN,
    MEDIA_PATTERN,
    Journal,
    new_draft_id,
    read_json,
)
from pipeline.errors import DiskFull, WriteFailed
from pipeline.plan.draft import DraftPlan
from tests.drafts.noted import ENCODED, journal, plan

__all__ = ["journal", "plan"]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fsync is refused, as on a full disk."""

    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module.os, "fsync", refuse)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_draft_has_its_request_and_its_plan_on_disk(journal: Journal, plan: DraftPlan) -> None:
    assert names(journal.folder) == {"request.json", "plan.json"}
    request = json.loads(journal.path("request.json").read_text(encoding="utf-8"))
    assert request["shots"] == [asdict(shot) for shot in plan.request.shots]
    saved = json.loads(journal.path("plan.json").read_text(encoding="utf-8"))
    assert saved["peak_bytes"] == plan.memory.peak_bytes


def test_prompts_are_readable_in_the_file(journal: Journal) -> None:
    assert "红" in journal.path("request.json").read_text(encoding="utf-8")


@pytest.mark.fault(14)
def test_a_file_appears_under_its_name_only_when_it_is_whole(journal: Journal) -> None:
    path = journal.slice_path(0)
    with journal.writing(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert not MEDIA_PATTERN.fullmatch(temporary.name)
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert not temporary.exists()


def test_what_has_its_name_is_on_the_disk_and_so_is_the_name(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before it is renamed, its folder after."""
    done = list[str]()
    sync, rename = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(journal_module.os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    journal.write_json("plan.json", {})
    assert done == ["file", "rename", "folder"]


def test_the_temporary_name_keeps_the_ending_that_encoders_go_by(journal: Journal) -> None:
    for path in (journal.slice_path(3), journal.latents_path(0)):
        with journal.writing(path) as temporary:
            assert temporary.suffix == path.suffix
            temporary.write_bytes(b"x")


@pytest.mark.fault(14)
def test_an_error_while_writing_leaves_what_was_there_and_nothing_else(journal: Journal) -> None:
    def write_half() -> None:
        with journal.writing(journal.path("plan.json")) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    before = journal.path("plan.json").read_bytes()
    with pytest.raises(ZeroDivisionError):
        write_half()
    assert journal.path("plan.json").read_bytes() == before
    assert names(journal.folder) == {"request.json", "plan.json"}


@pytest.mark.fault(14)
def test_whoever_begins_a_draft_sweeps_up_after_the_dead_and_leaves_the_living_alone(journal: Journal) -> None:
    """A Space's page writes whose a draft is while the engine already begins it."""
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        left = {f".OWNER.{pid}": pid for pid in (dead.pid, living.pid, os.getpid())}
        left |= {f".chunk-000.latents.{pid}.safetensors": pid for pid in left.values()}
        for name in (*left, ".nobody-s"):
            journal.path(name).touch()
        journal.sweep()
        living.communicate()
    kept = {name for name, pid in left.items() if pid == living.pid}
    assert names(journal.folder) == {"request.json", "plan.json"} | kept


@pytest.mark.usefixtures("full_disk")
@pytest.mark.fault(16)
def test_a_full_disk_is_told_with_the_path_and_leaves_no_piece(journal_before_full: Journal) -> None:
    folder = journal_before_full.folder
    with pytest.raises(DiskFull, match="No space left on device") as refusal:
        journal_before_full.write_json("plan.json", {"a": 1})
    assert refusal.value.path == str(folder / "plan.json")
    assert "--drafts" in refusal.value.hint
    assert names(folder) == set()


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Error while serializing: I/O error: No space left on device (os error 28)", DiskFull),
        ("Error while serializing: I/O error: Disk quota exceeded (os error 122)", DiskFull),
        ("Error while serializing: I/O error: Permission denied (os error 13)", WriteFailed),
        ("Error while serializing: I/O error: made up (os error 281)", WriteFailed),
    ],
)
def test_what_safetensors_says_about_the_disk_is_told_as_such(
    journal: Journal, said: str, kind: type[WriteFailed]
) -> None:
    def write_half() -> None:
        with journal.writing(journal.latents_path(0)) as temporary:
            temporary.write_bytes(b"half")
            raise SafetensorError(said)

    with pytest.raises(WriteFailed) as refusal:
        write_half()
    assert type(refusal.value) is kind
    assert names(journal.folder) == {"request.json", "plan.json"}


@pytest.fixture
def journal_before_full(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path, new_draft_id())
    journal.folder.mkdir()
    return journal


def test_a_drafts_folder_that_is_a_file_is_told_as_such(tmp_path: Path, plan: DraftPlan) -> None:
    (tmp_path / "drafts").write_text("I am a file")
    journal = Journal(tmp_path / "drafts", new_draft_id())
    with pytest.raises(WriteFailed, match="cannot be written"):
        journal.begin(plan)
    for write in (lambda: journal.write_json("plan.json", {}), lambda: journal.note(ENCODED), journal.request_stop):
        with pytest.raises(WriteFailed, match="cannot be written"):
            write()


def test_a_folder_that_may_not_be_written_is_told_as_such(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is made up, since whoever runs the tests in a container may write everywhere."""

    def refuse(_path: Path, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WriteFailed, match="Permission denied") as refusal:
        Journal(tmp_path, new_draft_id()).begin(plan)
    assert str(tmp_path) in refusal.value.path


def test_an_error_without_a_system_message_is_told_in_its_own_words(journal: Journal) -> None:
    with pytest.raises(WriteFailed, match="ffmpeg went away"), journal.writing(journal.video_path()):
        raise OSError("ffmpeg went away")


def test_a_stop_is_seen_by_whoever_opens_the_same_draft(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "drafts", journal.draft)
    assert not other.stop_requested()
    journal.request_stop()
    journal.request_stop()
    assert other.stop_requested()


def test_every_file_of_a_draft_has_its_own_name_inside_its_folder(journal: Journal) -> None:
    paths = [journal.embeddings_path(), journal.video_path()]
    paths += [journal.latents_path(n) for n in range(60)] + [journal.slice_path(n) for n in range(60)]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {journal.folder}


def test_only_films_match_what_a_browser_may_ask_for(journal: Journal) -> None:
    assert MEDIA_PATTERN.fullmatch(journal.slice_path(7).name)
    assert MEDIA_PATTERN.fullmatch(journal.video_path().name)


@pytest.mark.parametrize(
    "name",
    [
        "request.json",
        "plan.json",
        "weights.json",
        "events.jsonl",
        "STOP",
        "embeddings.safetensors",
        "chunk-000.latents.safetensors",
        "../draft.mp4",
        "..%2fdraft.mp4",
        "/etc/passwd",
        "slice-000.mp4/../plan.json",
        "slice-000.mp4\n",
        "draft.mp4\x00.json",
        "Draft.mp4",
        "draftxmp4",
        "slice-0.mp4",
        "slice-١٢٣.mp4",
        ".draft.123.mp4",
        "",
    ],
)
@pytest.mark.fault(37)
def test_nothing_but_films_matches_what_a_browser_may_ask_for(name: str) -> None:
    assert not MEDIA_PATTERN.fullmatch(name)


@pytest.mark.parametrize("draft", ["", "..", "../20250101-000000-0123456789abcdef", "20250101-000000-0123", "a/b"])
def test_a_name_that_is_no_draft_id_opens_no_folder(draft: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a draft id"):
        Journal(tmp_path, draft)


def test_ids_sort_by_time_and_cannot_be_guessed() -> None:
    ids = [new_draft_id() for _ in range(2000)]
    assert all(ID_PATTERN.fullmatch(draft) for draft in ids)
    assert [draft[:15] for draft in ids] == sorted(draft[:15] for draft in ids)
    secrets = {draft[16:] for draft in ids}
    assert len(secrets) == len(ids)
    # 64 random bits: over 2,000 of them, each bit is set about as often as not (six standard deviations apart).
    for bit in range(64):
        assert 866 <= sum(int(secret, 16) >> bit & 1 for secret in secrets) <= 1134
    assert all(re.fullmatch(r"[0-9a-f]{16}", secret) for secret in secrets)


def test_json_is_read_back_as_it_was_written(journal: Journal) -> None:
    journal.write_json("plan.json", {"title": "红", "numbers": [1, 2.5, None]})
    assert read_json(journal.path("plan.json")) == {"title": "红", "numbers": [1, 2.5, None]}


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe", b'{"a": "\xe7'])
def test_json_that_is_missing_or_torn_is_nothing(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)
    assert read_json(path) is None
