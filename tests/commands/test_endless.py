"""Names that no file system has, folders one may not enter, numbers without end: a sentence each, and exit code 2."""

from pathlib import Path

import pytest

from pipeline.__main__ import main

LONG = "x" * 300
DIGITS = "9" * 400


@pytest.mark.parametrize(
    "arguments",
    [
        *(["plan", "a red ball", "--frames", count] for count in (DIGITS, f"-{DIGITS}")),
        ["plan", "[1s] a red ball / [2s] a blue star", "--frames", DIGITS],
        *(["seams", LONG, *at] for at in ([], ["--at", "24"])),
        *(["plan", "--settings", LONG + ending] for ending in ("", ".mp4")),
        ["draft", "a red ball", "--weights", f"ltx-2b={LONG}"],
        *([*command, "--drafts", LONG] for command in (["plan", "a red ball"], ["models"], ["resume"])),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_a_name_or_a_number_without_end_is_a_bad_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code: object = main(arguments)
    except SystemExit as end:  # argparse's, of an option that can be none
        code = end.code
    assert code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert LONG in err or DIGITS[:3] in err or "120 are asked for" in err


@pytest.mark.parametrize(
    "command", [["seams", "{}"], ["seams", "{}", "--at", "24"], ["draft", "--settings", "{}"]], ids=" ".join
)
@pytest.mark.parametrize("ending", [".mp4", ".json"])
def test_a_file_in_a_folder_one_may_not_enter_is_a_bad_request(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    ending: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"locked{ending}"

    def look(path: Path) -> bool:
        if path.name == name:
            raise PermissionError(13, "Permission denied", name)
        return False

    monkeypatch.setattr(Path, "is_file", look)
    assert main([part.format(name) for part in command]) == 2
    assert f"{name} cannot be read: Permission denied." in capsys.readouterr().err
