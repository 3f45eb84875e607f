"""`edit` on the command line: another draft, an exit code, and a sentence for what cannot be."""

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.commands.options import BAD_REQUEST, DONE
from pipeline.drafts.journal import Journal
from tests.conftest import SMALL, PlanMaker
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


@pytest.mark.parametrize(
    ("change", "given", "line"),
    [
        (("extend", "1"), ("--end-image",), "The end frame is dropped: the draft ends elsewhere now."),
        (("cut", "1"), ("--end-image",), "The end frame is dropped: the draft ends elsewhere now."),
        (
            ("extend", "1"),
            ("--tail", "co-denoise"),
            "goes on in the model's usual way: what is there was denoised together.",
        ),
    ],
    ids=["extend", "cut", "co-denoise"],
)
def test_what_an_edit_does_besides_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], given: tuple[str, ...], line: str
) -> None:
    picture, drafts = tmp_path / "red.png", tmp_path / "drafts"
    Image.new("RGB", (SMALL.width, SMALL.height), (250, 20, 20)).save(picture)
    sizes = [f"--width={SMALL.width}", f"--height={SMALL.height}", "--frames=73", "--steps=2", "--drafts", str(drafts)]
    more = (*given, str(picture)) if given == ("--end-image",) else given
    assert main(["draft", "a red ball", *sizes, *more]) == DONE
    assert line not in capsys.readouterr().err
    (old,) = (folder.name for folder in drafts.iterdir() if folder.name[0].isdigit())
    assert run(tmp_path, old, *change) == DONE
    said = capsys.readouterr()
    assert said.err.count(line) == 1
    longer = Path(said.out.strip()).parent.name
    assert run(tmp_path, longer, "redo", "1") == DONE
    assert line not in capsys.readouterr().err


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
