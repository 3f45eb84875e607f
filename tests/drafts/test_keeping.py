"""What a person says of a draft: kept in its folder, plain, and of a length that fits."""

from pathlib import Path

import pytest

from pipeline.drafts.disposal import FAVOURITE
from pipeline.drafts.journal import Journal
from pipeline.drafts.keeping import LONGEST_TITLE, is_favourite, read_title, set_favourite, set_title
from pipeline.errors import InvalidRequest
from tests.drafts.noted import journal, plan

__all__ = ["journal", "plan"]


def test_a_favourite_is_one_until_it_is_not(journal: Journal) -> None:
    drafts = journal.folder.parent
    set_favourite(drafts, journal.draft, favourite=True)
    assert is_favourite(journal.folder)
    assert (journal.folder / FAVOURITE).exists()  # what disposal heeds
    set_favourite(drafts, journal.draft, favourite=False)
    set_favourite(drafts, journal.draft, favourite=False)
    assert not is_favourite(journal.folder)


def test_a_title_is_kept_plain_and_taken_back(journal: Journal) -> None:
    drafts = journal.folder.parent
    before = sorted(path.name for path in journal.folder.iterdir())
    assert read_title(journal.folder) == ""
    set_title(drafts, journal.draft, "  ../harbour\n\x00 红 <b>  ")
    assert read_title(journal.folder) == "../harbour 红 <b>"
    assert sorted(path.name for path in journal.folder.iterdir()) == sorted([*before, "title.json"])
    set_title(drafts, journal.draft, " ")
    set_title(drafts, journal.draft, "")
    assert read_title(journal.folder) == ""


def test_a_title_that_is_too_long_is_refused_and_the_old_one_stays(journal: Journal) -> None:
    drafts = journal.folder.parent
    set_title(drafts, journal.draft, "x" * LONGEST_TITLE)
    with pytest.raises(InvalidRequest, match=f"at most {LONGEST_TITLE} characters; this one has {LONGEST_TITLE + 1}"):
        set_title(drafts, journal.draft, "y" * (LONGEST_TITLE + 1))
    assert read_title(journal.folder) == "x" * LONGEST_TITLE


@pytest.mark.parametrize("content", ["{}", "7", "[", '"' + "x" * 500 + '"'])
def test_what_somebody_else_wrote_there_is_no_title_or_a_short_one(journal: Journal, content: str) -> None:
    (journal.folder / "title.json").write_text(content)
    assert len(read_title(journal.folder)) in (0, LONGEST_TITLE)


@pytest.mark.parametrize("draft", ["..", "nothing", "20260101-120000-0123456789abcdef", ""])
def test_what_is_no_draft_cannot_be_kept_or_named(tmp_path: Path, draft: str) -> None:
    for act in (lambda: set_favourite(tmp_path, draft, favourite=True), lambda: set_title(tmp_path, draft, "x")):
        with pytest.raises(InvalidRequest, match="no such draft"):
            act()
    assert not list(tmp_path.iterdir())
