"""One Rushes at a time makes drafts in a folder."""

from pathlib import Path

from filelock import FileLock, Timeout

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
