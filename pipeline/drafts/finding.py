"""Which drafts there are, the newest first: all, those with some words in title or sentences, or favourites only.

Reads names of folders, and of each only what the question is about: a shelf of thousands is looked through in a moment.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.drafts.journal import ID_PATTERN, read_json
from pipeline.drafts.keeping import is_favourite, read_title

TAKE = "TAKE"
"""A file of this name in its folder keeps a draft off the shelf: a take, made to be chosen from."""


def find_drafts(drafts: Path, *, words: str = "", favourites: bool = False) -> list[str]:
    """Ids, the newest first.

    Args:
        drafts: folder of all drafts.
        words: each must be in the title or the sentences, whatever its case.
        favourites: those only.
    """
    wanted = words.casefold().split()
    return [
        folder.name
        for folder in _folders(drafts)
        if not (folder / TAKE).exists()
        and (not favourites or is_favourite(folder))
        and (not wanted or _says(folder, wanted))
    ]


def _folders(drafts: Path) -> Iterator[Path]:
    names = (folder.name for folder in drafts.iterdir() if ID_PATTERN.fullmatch(folder.name))
    for name in sorted(names, reverse=True):
        if (drafts / name / "plan.json").exists():
            yield drafts / name


def _says(folder: Path, wanted: list[str]) -> bool:
    request: Any = read_json(folder / "request.json")
    shots = request.get("shots") if isinstance(request, dict) else None
    listed = shots if isinstance(shots, list) else []
    sentences = [str(shot.get("prompt", "")) for shot in listed if isinstance(shot, dict)]
    text = " ".join([read_title(folder), *sentences]).casefold()
    return all(word in text for word in wanted)
