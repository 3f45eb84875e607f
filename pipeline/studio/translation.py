"""What is said below the page, in the page's language: errors, reasons of plans, what is kept with a draft.

All of that is written in English, where it is found out, and stays so in journals and logs. Files of pairs,
assets/page/translations/<language>, tell how each sentence is said on the page; {names} stand for values:

    [sentences]
    "The device ran out of memory while it was busy with {stage}." = "{stage}时设备内存不足。"
    [stage]
    "denoise" = "绘制"

A value named like a table, digits aside, is looked up there in turn, and where it is not found the sentence is not this
one. Every other value is passed on as it is, so what a person wrote is never translated. What matches no pair stays
English. No regular expressions: parts are looked for from left to right, which takes as long as the text is, whatever
stands in it.
"""

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pipeline.errors import DraftError
from pipeline.studio.texts import Language, say

PAIRS = Path(__file__).parents[2] / "assets" / "page" / "translations"
LONGEST_CHARACTERS = 4000  # twice a prompt; nothing longer is a sentence of ours
MOST_SENTENCES = 16  # looked at for where a message ends and its hint begins
DEEPEST = 4  # values within values: a failed download within a refusal, how it failed, what of, its size
DIGITS = "0123456789"
FIRST_CHINESE = "\u2e80"  # signs and full-width punctuation come after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A sentence or phrase: its fixed parts in English, the names of the values between them, and how it is said."""

    fixed: tuple[str, ...]
    names: tuple[str, ...]
    said: str

    def find_values(self, text: str) -> dict[str, str] | None:
        """The values in a text that is this sentence, each as short as can be; None where it is another."""
        first, last = self.fixed[0], self.fixed[-1]
        if not self.names:
            return {} if text == first else None
        stop = len(text) - len(last)
        if not (text.startswith(first) and text.endswith(last) and len(first) <= stop):
            return None
        values, start = list[str](), len(first)
        for part in self.fixed[1:-1]:
            found = text.find(part, start, stop)
            if found < 0:
                return None
            values.append(text[start:found])
            start = found + len(part)
        return dict(zip(self.names, [*values, text[start:stop]], strict=True))


@cache
def read_pairs(language: Language) -> Mapping[str, tuple[Pair, ...]]:
    """The pairs of a language by table, those with the longest fixed parts first; none for the language of all else."""
    tables: dict[str, list[Pair]] = {}
    for path in sorted((PAIRS / language).glob("*.toml")):
        for table, pairs in tomllib.loads(path.read_text(encoding="utf-8")).items():
            tables.setdefault(table, []).extend(_pair(english, said) for english, said in pairs.items())
    return MappingProxyType(
        {
            table: tuple(sorted(pairs, key=lambda pair: sum(map(len, pair.fixed)), reverse=True))
            for table, pairs in tables.items()
        }
    )


def translate(language: Language, text: str) -> str:
    """One sentence, or a message with its hint, in the page's language; as it is where there is no pair for it."""
    return _find_sentence(language, text, DEEPEST) or text


def say_error(language: Language, error: DraftError) -> str:
    """An error's message and hint, for people."""
    return say_failure(language, error.message, error.hint)


def say_failure(language: Language, message: str, hint: str) -> str:
    """A message and its hint, each translated by itself."""
    return say(language, "failed", message=translate(language, message), hint=translate(language, hint)).strip()


def say_name(language: Language, table: str, name: str) -> str:
    """The name of a `device`, `model` or `licence`."""
    return _find(language, table, name, DEEPEST) or name


def _pair(english: str, said: str) -> Pair:
    pieces = list(string.Formatter().parse(english))
    names = tuple(name for _, name, _, _ in pieces if name is not None)
    fixed = [piece for piece, _, _, _ in pieces]
    return Pair(fixed=tuple(fixed if len(fixed) > len(names) else [*fixed, ""]), names=names, said=said)


def _find_sentence(language: Language, text: str, depth: int) -> str | None:
    """A sentence, or two in one text; None where it is neither."""
    if not text or len(text) > LONGEST_CHARACTERS:
        return None
    if found := _find(language, "sentences", text, depth):
        return found
    end = -1
    for _ in range(MOST_SENTENCES):
        end = text.find(". ", end + 1)
        if end < 0:
            break
        message = _find(language, "sentences", text[: end + 1], depth)
        hint = message and _find(language, "sentences", text[end + 2 :], depth)
        if message and hint:
            return say(language, "failed", message=message, hint=hint)
    return None


def _find(language: Language, table: str, text: str, depth: int) -> str | None:
    for pair in read_pairs(language).get(table, ()):
        values = pair.find_values(text)
        if values is None:
            continue
        said = {name: _say_value(language, name, value, depth - 1) for name, value in values.items()}
        if None not in said.values():
            return _fill(pair.said, said)
    return None


def _fill(said: str, values: Mapping[str, str | None]) -> str:
    """With its values; a space that the sentence has before or after one stands between Chinese and Latin only."""
    text = ""
    for fixed, name, _, _ in string.Formatter().parse(said):
        value = (name and values[name]) or ""
        if fixed.startswith(" ") and _is_chinese(text[-1:]) and _is_chinese(fixed[1:2] or value[:1]):
            fixed = fixed[1:]
        elif fixed.endswith(" ") and _is_chinese(fixed[-2:-1]) and _is_chinese(value[:1]):
            fixed = fixed[:-1]
        text += fixed + value
    return text


def _is_chinese(character: str) -> bool:
    return character >= FIRST_CHINESE


def _say_value(language: Language, name: str, value: str, depth: int) -> str | None:
    table = name.rstrip(DIGITS)
    if table not in read_pairs(language):
        return value
    if table == "sentences":  # a refusal may tell of one other, which tells of none
        return _find_sentence(language, value, depth) if depth == DEEPEST - 1 else None
    return _find(language, table, value, depth) if depth else None
