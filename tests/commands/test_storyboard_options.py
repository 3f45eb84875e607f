"""Shots on the command line: as text, from a file, and what is refused before anything is made."""

import json
from pathlib import Path

import pytest

import pipeline
from pipeline import Transition
from pipeline.__main__ import main
from tests.conftest import DeviceMaker

BOAT = "[2s] a boat leaves / [3s cut] the boat arrives / [1s] it is night"


@pytest.fixture(autouse=True)
def _one_machine(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pipeline, "probe_device", lambda **_: make_device(gib=8.0))
    monkeypatch.chdir(tmp_path)


def plan(*options: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["plan", *options, "--seed", "1", "--json"]) == 0
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_a_plan_says_which_shot_each_chunk_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", BOAT, "--seed", "1"]) == 0
    out = capsys.readouterr().out
    assert "146 frames (6.1 s)" in out
    assert "  chunk 1: 49 frames, seed 1, shot 1\n" in out
    assert "  chunk 2: 49 frames, seed 2, shot 2 after a cut\n" in out
    assert "  chunk 4: 41 frames, seed 4, 17% shot 2 and 83% shot 3\n" in out
    assert "1 cut: the chunk after it is given nothing of what was made before." in out


def test_a_file_says_the_same_as_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a board.txt"
    file.write_bytes(b"\xef\xbb\xbf" + BOAT.replace(" / ", "\r\n").encode())
    from_file, from_text = (plan(*options, capsys=capsys) for options in (("--storyboard", str(file)), (BOAT,)))
    assert from_file["request"] == from_text["request"]
    assert from_file["chunks"] == from_text["chunks"]


def test_one_sentence_makes_the_plan_it_always_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "a boat", "--seed", "1"]) == 0
    assert ", shot" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "field", "told"),
    [
        ([BOAT, "--seconds", "8"], "seconds", "6 seconds together, and 8 are asked for"),
        ([BOAT, "--frames", "97"], "seconds", "6 seconds together"),
        ([BOAT, "--storyboard", "board.txt"], "prompt", "besides the storyboard board.txt"),
        ([], "prompt", "There is no sentence yet."),
        (["--storyboard", "missing.txt"], "prompt", "missing.txt cannot be read: No such file"),
        (["--storyboard", "."], "prompt", "cannot be read: Is a directory"),
        (["--storyboard", "picture.png"], "prompt", "picture.png cannot be read: it is no UTF-8 text"),
        (["--storyboard", "large.txt"], "prompt", "larger than 256 KiB"),
        (["[2s] a / [0s] b"], "prompt", "Shot 2 cannot last 0 seconds"),
        (["[2s] a / [0.1s] b"], "prompt", "Shot 2 is too short for Miniature"),
        ([" / ".join(["[1s] a"] * 100)], "prompt", "not 100"),
        (["[40s] a / [30s cut] b"], "seconds", "A draft of 70 seconds cannot be made"),
        (["[2s] a\x07 / [2s] b"], "prompt", "control characters"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", ["plan", "draft"])
def test_a_bad_storyboard_ends_with_2_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, options: list[str], field: str, told: str
) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    (tmp_path / "large.txt").write_bytes(b"a" * (2**18 + 1))
    before = sorted(tmp_path.iterdir())
    assert main([command, *options, "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["field"] == field
    assert told in answer["error"]
    assert sorted(tmp_path.iterdir()) == before


def test_python_takes_a_storyboard_too() -> None:
    request = pipeline.request(BOAT, model="ltx-2b", seed=1)
    assert [shot.transition for shot in request.shots] == [Transition.SMOOTH, Transition.CUT, Transition.SMOOTH]
    assert request.prompt == "a boat leaves / the boat arrives / it is night"
