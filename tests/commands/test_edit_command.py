"""`edit` on the command line: another draft, an exit code, and a sentence for what cannot be."""

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.commands.options import BAD_REQUEST, DONE
from pipeline.drafts.journal import Journal
from tests.conftest import PlanMaker
from tests.tiny import count_frames, make_draft

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def draft(tmp_path: Path, make_plan: PlanMaker) -> str:
    """The id of a finished draft of two chunks."""
    _, journal = make_draft(tmp_path / "drafts", make_plan(frames=73))
    return journal.draft


def run(tmp_path: Path, *arguments: str) -> int:
    return main(["edit", *arguments, "--drafts", str(tmp_path / "drafts")])


def test_every_way_makes_another_draft(tmp_path: Path, draft: str, capsys: pytest.CaptureFixture[str]) -> None:
    film = tmp_path / "film.mp4"
    for arguments, frames in (
        (("redo", "2", "--seed", "9"), 73),
        (("reprompt", "2", "a blue star rises over sea"), 73),
        (("branch", "1"), 73),
        (("cut", "1"), 49),
        (("extend", "1", "a blue star rises over sea"), 97),
    ):
        assert run(tmp_path, draft, *arguments, "--output", str(film)) == DONE
        assert count_frames(film) == frames
        assert capsys.readouterr().out.strip() == str(film)
    assert len([folder for folder in (tmp_path / "drafts").iterdir() if folder.name[0].isdigit()]) == 6


def test_machines_are_told_the_new_draft_and_its_seed_is_the_one_given(
    tmp_path: Path, draft: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, draft, "redo", "2", "--seed", "9", "--json") == DONE
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["event"] == "Started"
    plan = Journal(tmp_path / "drafts", first["draft"]).read_plan()
    assert [chunk.seed for chunk in plan.chunks] == [7, 9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("redo", "3"), "There is no chunk 3: the draft has chunks 1 to 2"),
        (("redo", "0"), "There is no chunk 0"),
        (("redo", "two"), "'two' is neither a chunk nor a length"),
        (("redo", "1.5"), "1.5 is no chunk"),
        (("reprompt", "1"), "There is no sentence yet"),
        (("cut", "1", "a sentence"), "cut takes no sentence"),
        (("extend", "90"), "the longest is 60 seconds"),
        (("extend", "1", "--seed", "4"), "extend draws no seed"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, draft: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    before = sorted((tmp_path / "drafts").iterdir())
    assert run(tmp_path, draft, *arguments) == BAD_REQUEST
    assert message in capsys.readouterr().err
    assert sorted((tmp_path / "drafts").iterdir()) == before
