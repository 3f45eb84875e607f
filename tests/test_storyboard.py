"""The storyboards of the README, made as they are written there, with the tiny checkpoint in the miniature's place."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.plan.storyboard import read_shots
from pipeline.video.mp4 import read_settings
from tests.source import ROOT
from tests.tiny import count_frames

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
(BOARD,) = (text for kind, text in BLOCKS if kind == "text" and text.startswith("["))
COMMANDS = [
    shlex.split(line, comments=True)[3:]
    for kind, text in BLOCKS
    for line in text.splitlines()
    if kind == "bash" and ("--storyboard" in line or '"[' in line)
]


def test_the_readme_shows_both_forms() -> None:
    assert [command[1].startswith("[") for command in COMMANDS] == [True, False]
    assert COMMANDS[1][1:3] == ["--storyboard", "harbour.txt"]


@pytest.mark.parametrize("command", COMMANDS, ids=["in one line", "in a file"])
def test_a_storyboard_of_the_readme_runs_as_written(
    command: list[str], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.is_dir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harbour.txt").write_text(BOARD, encoding="utf-8")
    assert main(command) == 0
    film = Path(capsys.readouterr().out.splitlines()[-1])
    shots = read_shots(BOARD if "--storyboard" in command else command[1], 0)
    settings = read_settings(film)
    assert settings is not None
    assert [row["prompt"] for row in settings["shots"]] == [shot.prompt for shot in shots]
    assert len(settings["cuts"]) == 1
    assert count_frames(film) == settings["frames"]
    assert abs(settings["frames"] / 24 - sum(shot.seconds for shot in shots)) < 8 / 24
    assert main(["seams", str(film)]) in (0, 4)
    assert "1 cut, meant and not judged" in capsys.readouterr().out
