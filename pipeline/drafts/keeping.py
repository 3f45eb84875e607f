"""What a person says of a draft: its own title, and that it is a favourite. Both are files in its folder."""

import unicodedata
from pathlib import Path

from pipeline.drafts.disposal import FAVOURITE
from pipeline.drafts.journal import ID_PATTERN, Journal, read_json
from pipeline.errors import InvalidRequest, WriteFailed

LONGEST_TITLE = 120
TITLE = "title.json"


def set_favourite(drafts: Path, draft: str, *, favourite: bool) -> None:
    """Keep a draft from being deleted to make room, or no longer.

    Raises:
        InvalidRequest: when there is no such draft.
        WriteFailed: when the disk refuses.
    """
    mark = _folder(drafts, draft) / FAVOURITE
    try:
        mark.touch() if favourite else mark.unlink(missing_ok=True)
    except OSError as error:
        raise WriteFailed(str(mark), f"{mark} cannot be written: {error.strerror or error}.") from error


def is_favourite(folder: Path) -> bool:
    """Whether a draft stays until a person deletes it."""
    return (folder / FAVOURITE).exists()


def set_title(drafts: Path, draft: str, title: str) -> None:
    """Call a draft something else than its sentence; an empty title takes that back. It is in no file's name.

    Raises:
        InvalidRequest: when there is no such draft, or the title is too long.
        WriteFailed: when the disk refuses.
    """
    folder = _folder(drafts, draft)
    plain = " ".join("".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in title).split())
    if len(plain) > LONGEST_TITLE:
        raise InvalidRequest("title", f"A title has at most {LONGEST_TITLE} characters; this one has {len(plain)}.")
    if plain:
        Journal(drafts, draft).write_json(TITLE, plain)
        return
    try:
        (folder / TITLE).unlink(missing_ok=True)
    except OSError as error:
        raise WriteFailed(str(folder), f"{folder} cannot be written: {error.strerror or error}.") from error


def read_title(folder: Path) -> str:
    """What a person called a draft; empty if nothing."""
    title = read_json(folder / TITLE)
    return title[:LONGEST_TITLE] if isinstance(title, str) else ""


def _folder(drafts: Path, draft: str) -> Path:
    folder = drafts / draft
    if not ID_PATTERN.fullmatch(draft) or folder.is_symlink() or not folder.is_dir():
        raise InvalidRequest("draft", "There is no such draft.")
    return folder
