"""Drafts that go: one by its id, or those that ended first once all of them together are larger than they may be.

A draft goes as a whole: its folder is renamed first, in one step, and emptied under a name that nobody asks for. What a
crash leaves of that is swept up the next time.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.drafts.journal import ID_PATTERN, Journal, is_finished
from pipeline.errors import InvalidRequest, WriteFailed, say_bytes

logger = logging.getLogger(__name__)

DELETED = ".deleted-"  # before the id
FAVOURITE = "FAVOURITE"
"""A file of this name in its folder keeps a draft from being deleted to make room; only a person deletes it then."""


def delete_draft(drafts: Path, draft: str) -> int:
    """Delete a draft, finished or not, unless somebody works on it.

    Returns:
        The bytes that are free now; where its folder cannot be emptied yet, which is logged, those that will be.

    Raises:
        InvalidRequest: when there is no such draft, or it is being made.
        WriteFailed: when the disk refuses, and the draft is still there.
    """
    folder = drafts / draft
    if not ID_PATTERN.fullmatch(draft) or folder.is_symlink() or not folder.is_dir():
        raise InvalidRequest("draft", f"There is no draft {draft[:80]!r} in {drafts}.")
    with Journal(drafts, draft).claim():
        pass  # nobody else has it
    freed, deleted = size_bytes(folder), drafts / f"{DELETED}{draft}"
    try:
        folder.rename(deleted)
    except OSError as error:
        raise WriteFailed(str(folder), f"{folder} cannot be deleted: {error.strerror or error}.") from error
    _empty(deleted)
    return freed


def keep_within(drafts: Path, limit_bytes: int | None, *, spared: str = "") -> list[str]:
    """Delete finished drafts, the one that was worked on longest ago first, until all drafts together have
    `limit_bytes`; the ids of those that went.

    Unfinished ones, favourites, the one that was worked on last and the one that is `spared` stay, however large they
    are. Without a limit only what was half deleted goes. What cannot be deleted is logged.
    """
    gone = list[str]()
    sweep(drafts)
    if limit_bytes is None:
        return gone
    found = [folder for folder in drafts.iterdir() if ID_PATTERN.fullmatch(folder.name)]
    folders = {folder: _files(folder) for folder in sorted(found, key=_worked_on)}
    over_bytes = sum({file: size for files in folders.values() for file, size in files.items()}.values()) - limit_bytes
    for folder in list(folders)[:-1]:
        if over_bytes <= 0:
            break
        try:
            if folder.name != spared and is_finished(folder) and not (folder / FAVOURITE).exists():
                over_bytes -= delete_draft(drafts, folder.name)
                gone.append(folder.name)
        except (InvalidRequest, WriteFailed, OSError) as error:
            logger.warning("%s", error)
    if gone:
        logger.info("deleted %d drafts to keep within %s", len(gone), say_bytes(limit_bytes))
    return gone


def _worked_on(folder: Path) -> tuple[int, str]:
    """When something was last noted of a draft, in nanoseconds, whenever it was begun; then its name."""
    with suppress(OSError):
        return (folder / "events.jsonl").stat().st_mtime_ns, folder.name
    return 0, folder.name  # nothing was yet, it goes just now, or it is a link to nothing


def sweep(drafts: Path) -> None:
    """Empty what was deleted, or half deleted when the power went. What cannot be emptied is logged, and in nobody's
    way."""
    for folder in drafts.glob(f"{DELETED}*"):
        _empty(folder)


def _empty(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        logger.warning("%s is deleted and cannot be emptied: %s", folder, error)


def size_bytes(folder: Path) -> int:
    """What deleting a draft's folder frees: a file that another draft has as well stays there. 0 where it is gone."""
    return sum(status.st_size for status in _statuses(folder) if status.st_nlink == 1)


def _files(folder: Path) -> dict[tuple[int, int], int]:
    """The sizes of a draft's files, by what they are on the disk: drafts made from one another share some."""
    return {(status.st_dev, status.st_ino): status.st_size for status in _statuses(folder)}


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    """Of the files in a folder, as far as they can be seen, and nobody deletes it meanwhile."""
    for inside, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield (Path(inside) / name).lstat()
