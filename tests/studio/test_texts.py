"""The page's sentences: every one in every language, with the same values, and the browser's language is chosen."""

import string

import pytest

from pipeline.studio.forms import FIELDS
from pipeline.studio.texts import LABELS, SCRIPT_TEXTS, Language, choose_language, sentences

REFUSALS = {f"refused_{field}" for field in FIELDS} | {"does_not_fit"}


def blanks(sentence: str) -> set[str]:
    """The names of the values a sentence takes."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", Language)
def test_every_language_has_every_sentence(language: Language) -> None:
    assert set(sentences(language)) == set(sentences(Language.EN))
    assert all(sentence.strip() or key in {"comma"} for key, sentence in sentences(language).items())


@pytest.mark.parametrize("key", sorted(set(sentences(Language.EN)) - REFUSALS))
def test_a_sentence_takes_the_same_values_in_every_language(key: str) -> None:
    assert len({frozenset(blanks(sentences(language)[key])) for language in Language}) == 1


@pytest.mark.parametrize("language", Language)
def test_every_field_has_a_refusal(language: Language) -> None:
    assert set(sentences(language)) >= REFUSALS


@pytest.mark.parametrize("key", [*LABELS, *SCRIPT_TEXTS])
def test_what_the_browser_says_by_itself_takes_no_values(key: str) -> None:
    assert not any(blanks(sentences(language)[key]) for language in Language)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", Language.ZH),
        ("ZH", Language.ZH),
        ("en-GB,en;q=0.9,zh;q=0.1", Language.EN),
        ("de-DE", Language.EN),
        ("", Language.EN),
    ],
)
def test_the_browsers_first_language_is_chosen(accepted: str, language: Language) -> None:
    assert choose_language(accepted) is language
