"""Drafts are found by words and favour, the newest first; takes and what is no draft are left out."""

import json
from pathlib import Path

import pytest

from pipeline.drafts.finding import TAKE, find_drafts
from pipeline.drafts.keeping import set_favourite, set_title

SENTENCES = ("A red ball falls", "a blue ball rises", "红球 落下")
IDS = [f"20260101-12000{number}-0123456789abcdef" for number in range(3)]


@pytest.fixture
def drafts(tmp_path: Path) -> Path:
    for draft, sentence in zip(IDS, SENTENCES, strict=True):
        (tmp_path / draft).mkdir()
        (tmp_path / draft / "plan.json").write_text("{}")
        (tmp_path / draft / "request.json").write_text(json.dumps({"shots": [{"prompt": sentence}]}))
    (tmp_path / ".embeddings").mkdir()
    (tmp_path / "20260101-120009-0123456789abcdef").mkdir()  # nothing in it yet
    return tmp_path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [2, 1, 0]),
        ("BALL", [1, 0]),
        ("ball red", [0]),
        ("红球", [2]),
        ("harbour", [1]),
        ("nothing", []),
        (" ", [2, 1, 0]),
    ],
)
def test_every_word_must_be_in_the_title_or_the_sentences(drafts: Path, words: str, found: list[int]) -> None:
    set_title(drafts, IDS[1], "My Harbour")
    assert find_drafts(drafts, words=words) == [IDS[number] for number in found]


def test_favourites_only(drafts: Path) -> None:
    set_favourite(drafts, IDS[0], favourite=True)
    assert find_drafts(drafts, favourites=True) == [IDS[0]]
    assert find_drafts(drafts, favourites=True, words="blue") == []


def test_takes_stay_off_the_shelf(drafts: Path) -> None:
    (drafts / IDS[2] / TAKE).touch()
    assert find_drafts(drafts) == [IDS[1], IDS[0]]


@pytest.mark.parametrize("content", ["[", "7", "{}", '{"shots": 7}', '{"shots": [7, {}]}'])
def test_a_request_that_cannot_be_read_is_found_by_no_word_and_keeps_nobody_from_looking(
    drafts: Path, content: str
) -> None:
    (drafts / IDS[0] / "request.json").write_text(content)
    assert find_drafts(drafts, words="ball") == [IDS[1]]
    assert len(find_drafts(drafts)) == 3
