"""The page's sentences: every one in every language, with the same values, and the browser's language is chosen."""

import string
import tomllib

import pytest

from pipeline.studio.texts import FOLDER, Language, Speaker, choose_language, sentences


def blanks(sentence: str) -> set[str]:
    """The names of the values a sentence takes."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", Language)
def test_every_language_has_every_sentence(language: Language) -> None:
    assert set(sentences(language)) == set(sentences(Language.EN))
    assert all(sentence.strip() or key in {"comma"} for key, sentence in sentences(language).items())


@pytest.mark.parametrize("key", sorted(sentences(Language.EN)))
def test_a_sentence_takes_the_same_values_in_every_language(key: str) -> None:
    assert len({frozenset(blanks(sentences(language)[key])) for language in Language}) == 1


@pytest.mark.parametrize("language", Language)
def test_every_sentence_stands_once_with_one_speaker(language: Language) -> None:
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / language).glob("*.toml")]
    keys = [key for table in tables for speaker in table.values() for key in speaker]
    assert {name for table in tables for name in table} == set(Speaker)
    assert len(keys) == len(set(keys)) == len(sentences(language))
    for speaker in Speaker:
        assert set(sentences(language, speaker)) == set(sentences(Language.EN, speaker))


@pytest.mark.parametrize("key", [*sentences(Language.EN, Speaker.LABEL), *sentences(Language.EN, Speaker.SCRIPT)])
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
