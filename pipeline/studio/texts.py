"""Every sentence of the page, complete in each language: assets/page/texts/<language>, a file for each part of it.

Refusals and plan reasons are written below the page, in English: translation.py.
"""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parents[2] / "assets" / "page" / "texts"


class Language(StrEnum):
    """A language the page speaks."""

    EN = "en"
    ZH = "zh"


class Speaker(StrEnum):
    """Who says a sentence: the tables of the files.

    Labels stand on the page from the start and are translated by the browser; scripts say theirs by themselves, without
    asking the server; neither takes values.
    """

    LABEL = "labels"
    SCRIPT = "script"
    SERVER = "said"


@cache
def sentences(language: Language, speaker: Speaker | None = None) -> Mapping[str, str]:
    """All that the page says in a language, or all that one speaker does, by key; values are filled into {names}."""
    said: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.toml")):
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        for name in Speaker if speaker is None else (speaker,):
            said |= tables.get(name, {})
    return MappingProxyType(said)


def say(language: Language, key: str, **values: object) -> str:
    """The sentence `key` with its values filled in."""
    return sentences(language)[key].format(**values)


def choose_language(accepted: str) -> Language:
    """The page's language for an Accept-Language header: the browser's first choice, English if we do not speak it."""
    return Language.ZH if accepted.strip().lower().startswith("zh") else Language.EN
