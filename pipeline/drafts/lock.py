"""One Rushes at a time makes drafts in a folder, and whether another process makes one of them."""

from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.drafts.journal import Journal
from pipeline.errors import WriteFailed


def hold(drafts: Path) -> FileLock | None:
    """Make the folder and lock it until `release` or this process's end, however it ends; None where another has it.

    Raises:
        WriteFailed: when it cannot be made or written.
    """
    lock = FileLock(drafts / ".lock")
    try:
        drafts.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        raise WriteFailed(
            str(drafts), f"The drafts folder {drafts} cannot be written: {error.strerror}.", "Choose another."
        ) from error
    return lock


def is_claimed(journal: Journal) -> bool:
    """Whether somebody works on a draft now (`Journal.claim`); somebody who died does not."""
    path = journal.path("LOCK")
    lock = FileLock(path, timeout=0)
    try:
        if path.exists():
            lock.acquire()
    except Timeout:
        return True
    except OSError:  # nobody can
        return False
    lock.release()
    return False
