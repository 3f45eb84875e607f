"""Every sentence of the page, complete in each language: assets/page/texts. Knows nothing about Gradio.

Refusals and plan reasons are written by `plan/` in English; `refused_*` says in each language how they are shown.
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


LABELS = (
    "tagline", "prompt", "prompt_help", "prompt_placeholder", "model", "shape", "length", "memory", "limit",
    "limit_help", "precision", "precision_help", "precision_bfloat16", "precision_int8", "precision_int4", "more",
    "seed", "seed_help", "seed_placeholder", "steps", "steps_help", "guidance", "guidance_help", "chunk", "chunk_help",
    "negative", "negative_help", "make", "stop", "go_on", "keys", "miniature_note", "shelf",
)  # fmt: skip
"""What stands on the page from the start, translated by the browser; no values in them."""

SCRIPT_TEXTS = (
    "player_empty", "player_empty_help", "player_label", "strip_label", "meter_label", "save", "next_chunk", "rough",
    "shelf_empty", "why", "edit_label", "edit_chunk", "edit_redo", "edit_redo_help", "edit_reprompt",
    "edit_reprompt_help", "edit_reprompt_placeholder", "edit_branch", "edit_branch_help", "edit_cut", "edit_cut_help",
    "edit_extend", "edit_extend_help", "edit_extend_placeholder", "edit_undo", "edit_undo_help", "edit_seconds",
    "edit_sentence", "edit_make", "edit_back",
)  # fmt: skip
"""What the browser's scripts say by themselves, without being asked by the server."""


@cache
def sentences(language: Language) -> Mapping[str, str]:
    """All that the page says in a language, by key; values are filled into {names}."""
    return MappingProxyType(tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8")))


def say(language: Language, key: str, **values: object) -> str:
    """The sentence `key` with its values filled in."""
    return sentences(language)[key].format(**values)


def choose_language(accepted: str) -> Language:
    """The page's language for an Accept-Language header: the browser's first choice, English if we do not speak it."""
    return Language.ZH if accepted.strip().lower().startswith("zh") else Language.EN
