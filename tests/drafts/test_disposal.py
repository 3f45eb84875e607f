"""Drafts go whole and free their room; what is being made, unfinished or a favourite stays."""

import json
import multiprocessing
import os
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.commands.options import BAD_REQUEST, DONE
from pipeline.drafts import disposal
from pipeline.drafts.disposal import DELETED, FAVOURITE, delete_draft, keep_within, size_bytes, sweep
from pipeline.drafts.journal import Journal, is_finished
from pipeline.errors import InvalidRequest, WriteFailed
from pipeline.events import Finished
from pipeline.plan.draft import DraftPlan
from tests.conftest import PlanMaker

FILM_BYTES = 10_000
PATIENCE_SECONDS = 60


def name(number: int) -> str:
    return f"202601{number:02d}-120000-{number:016x}"


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    return make_plan()


def make(drafts: Path, plan: DraftPlan, number: int, *, finished: bool = True) -> Path:
    """A draft's folder of about `FILM_BYTES`, the higher its number the newer."""
    journal = Journal(drafts, name(number))
    journal.begin(plan)
    journal.video_path().write_bytes(b"x" * FILM_BYTES)
    if finished:
        journal.note(Finished(file="draft.mp4", frames=25, seconds=1.0, peak_bytes=1))
        end(journal.folder, number)
    return journal.folder


def end(folder: Path, hour: int) -> None:
    """As if it had been finished then."""
    os.utime(folder / "events.jsonl", (3600 * hour, 3600 * hour))


def left(drafts: Path) -> list[str]:
    return sorted(path.name for path in drafts.iterdir())


# One --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("finished", [True, False])
def test_a_deleted_draft_leaves_nothing_and_says_what_that_freed(
    tmp_path: Path, plan: DraftPlan, finished: bool
) -> None:
    one, other = make(tmp_path, plan, 1, finished=finished), make(tmp_path, plan, 2)
    (one / FAVOURITE).touch()  # a person may
    held = size_bytes(one)
    assert held > FILM_BYTES
    assert delete_draft(tmp_path, one.name) == held
    assert left(tmp_path) == [other.name]
    with pytest.raises(InvalidRequest, match="There is no draft"):
        delete_draft(tmp_path, one.name)


@pytest.mark.parametrize("draft", ["", ".", "..", "../elsewhere", ".embeddings", "/etc", name(7), f"{name(1)}/.."])
def test_what_is_no_draft_is_not_deleted(tmp_path: Path, plan: DraftPlan, draft: str) -> None:
    drafts = tmp_path / "drafts"
    make(drafts, plan, 1)
    (drafts / ".embeddings").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(InvalidRequest, match="There is no draft"):
        delete_draft(drafts, draft)
    assert left(drafts) == [".embeddings", name(1)]
    assert (tmp_path / "elsewhere").is_dir()


def test_a_link_that_is_called_like_a_draft_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "dear").touch()
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / name(1)).symlink_to(elsewhere)
    with pytest.raises(InvalidRequest):
        delete_draft(tmp_path / "drafts", name(1))
    assert (elsewhere / "dear").exists()


def work_on(drafts: Path, draft: str, begun: Signal, over: Signal) -> None:
    """In another process."""
    with Journal(drafts, draft).claim():
        begun.set()
        over.wait(PATIENCE_SECONDS)


def test_a_draft_that_another_process_works_on_is_refused_until_that_ends(tmp_path: Path, plan: DraftPlan) -> None:
    folder = make(tmp_path, plan, 1, finished=False)
    context = multiprocessing.get_context("spawn")
    begun, over = context.Event(), context.Event()
    process = context.Process(target=work_on, args=(tmp_path, folder.name, begun, over))
    process.start()
    assert begun.wait(PATIENCE_SECONDS)
    with pytest.raises(InvalidRequest, match=f"Draft {folder.name} is being made. Wait for it, or stop it."):
        delete_draft(tmp_path, folder.name)
    assert (folder / "draft.mp4").exists()
    process.kill()  # without a chance to tidy up
    process.join()
    delete_draft(tmp_path, folder.name)
    assert left(tmp_path) == []


def test_whoever_works_on_a_draft_works_on_it_alone(tmp_path: Path) -> None:
    one, other = Journal(tmp_path, name(1)), Journal(tmp_path, name(1))
    with one.claim(), pytest.raises(InvalidRequest, match="is being made"), other.claim():
        pass
    with other.claim():
        pass


def test_the_command_line_deletes_a_draft(tmp_path: Path, plan: DraftPlan, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["delete", name(1), "--drafts", str(tmp_path)]
    folder = make(tmp_path, plan, 1)
    with Journal(tmp_path, name(1)).claim():
        assert main(command) == BAD_REQUEST
    assert f"Draft {name(1)} is being made." in capsys.readouterr().err
    held = size_bytes(folder)
    assert main([*command, "--json"]) == DONE
    assert json.loads(capsys.readouterr().out) == {"deleted": name(1), "freed_bytes": held}
    make(tmp_path, plan, 1)
    assert main(command) == DONE
    assert capsys.readouterr().out == "0 MiB freed\n"
    assert main(command) == BAD_REQUEST


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of folders that cannot be emptied; none at first."""
    names, empty = list[str](), disposal.shutil.rmtree

    def rmtree(folder: Path) -> None:
        if folder.name in names:
            raise OSError(5, "Input/output error")
        empty(folder)

    monkeypatch.setattr(disposal.shutil, "rmtree", rmtree)
    return names


def test_what_was_half_deleted_is_no_draft_any_more_and_is_swept_up(
    tmp_path: Path, plan: DraftPlan, stubborn: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make(tmp_path, plan, 1)
    held = size_bytes(folder)
    stubborn.append(f"{DELETED}{folder.name}")
    assert delete_draft(tmp_path, folder.name) == held
    assert left(tmp_path) == stubborn
    assert "cannot be emptied: [Errno 5] Input/output error" in caplog.text
    stubborn.clear()
    sweep(tmp_path)
    assert left(tmp_path) == []


def test_one_leftover_that_cannot_be_emptied_costs_no_other_draft(
    tmp_path: Path, plan: DraftPlan, stubborn: list[str]
) -> None:
    for number in (1, 2, 3, 4):
        make(tmp_path, plan, number)
    stubborn.append(f"{DELETED}{name(0)}")
    for leftover in (stubborn[0], f"{DELETED}{name(9)}"):
        (tmp_path / leftover).mkdir()
    limit_bytes = sum(size_bytes(tmp_path / name(number)) for number in (2, 3, 4))
    assert keep_within(tmp_path, limit_bytes) == [name(1)]
    assert left(tmp_path) == [*stubborn, name(2), name(3), name(4)]


def test_one_that_cannot_be_renamed_is_still_there(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path, plan, 1)

    def refuse(*_: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(WriteFailed, match=r"cannot be deleted: Read-only file system\."):
        delete_draft(tmp_path, folder.name)
    assert left(tmp_path) == [folder.name]


# All together -------------------------------------------------------------------------------------------------------
def test_the_oldest_finished_go_until_all_are_within_the_limit(tmp_path: Path, plan: DraftPlan) -> None:
    sizes = {number: size_bytes(make(tmp_path, plan, number)) for number in (3, 1, 4, 2)}
    assert keep_within(tmp_path, sum(sizes.values())) == []
    assert keep_within(tmp_path, sizes[3] + sizes[4]) == [name(1), name(2)]
    assert left(tmp_path) == [name(3), name(4)]


def test_what_counts_is_when_a_draft_was_worked_on_last_not_when_it_was_begun(tmp_path: Path, plan: DraftPlan) -> None:
    """An old one that was gone on with is finished last, or, where another is made meanwhile, spared by its name."""
    for number in (1, 2, 3):
        make(tmp_path, plan, number)
    end(tmp_path / name(1), 4)
    assert keep_within(tmp_path, 0, spared=name(2)) == [name(3)]
    assert keep_within(tmp_path, 0) == [name(2)]
    assert left(tmp_path) == [name(1)]


def test_what_two_drafts_share_is_counted_once_and_freed_with_the_last(tmp_path: Path, plan: DraftPlan) -> None:
    one, other = make(tmp_path, plan, 1), make(tmp_path, plan, 2)
    (other / "draft.mp4").unlink()
    (other / "draft.mp4").hardlink_to(one / "draft.mp4")
    alone = size_bytes(one)
    assert alone < FILM_BYTES
    third = make(tmp_path, plan, 3)
    assert keep_within(tmp_path, alone + size_bytes(other) + FILM_BYTES + size_bytes(third)) == []
    assert delete_draft(tmp_path, one.name) == alone
    assert delete_draft(tmp_path, other.name) > FILM_BYTES


def test_favourites_unfinished_ones_and_the_newest_stay(tmp_path: Path, plan: DraftPlan) -> None:
    make(tmp_path, plan, 1, finished=False)
    (make(tmp_path, plan, 2) / FAVOURITE).touch()
    make(tmp_path, plan, 3)
    make(tmp_path, plan, 4)
    (tmp_path / "somebody's own").mkdir()
    assert keep_within(tmp_path, 0) == [name(3)]
    assert left(tmp_path) == [name(1), name(2), name(4), "somebody's own"]


def test_one_that_is_being_made_again_stays_and_keeps_none_of_the_others(tmp_path: Path, plan: DraftPlan) -> None:
    for number in (1, 2, 3):
        make(tmp_path, plan, number)
    with Journal(tmp_path, name(1)).claim():
        assert keep_within(tmp_path, 0) == [name(2)]
    assert left(tmp_path) == [name(1), name(3)]


def test_what_is_called_like_a_draft_and_cannot_be_looked_at_is_passed_over(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, target in ((1, tmp_path / "nothing"), (2, tmp_path / name(2))):  # the second leads to itself
        (tmp_path / name(number)).symlink_to(target)
    for number in (3, 4, 5):
        make(tmp_path, plan, number)

    def look(folder: Path) -> bool:
        if folder.name == name(3):
            raise PermissionError(13, "Permission denied")
        return is_finished(folder)

    monkeypatch.setattr(disposal, "is_finished", look)
    assert keep_within(tmp_path, 0) == [name(4)]
    assert left(tmp_path) == [name(1), name(2), name(3), name(5)]
