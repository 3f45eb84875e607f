"""What is printed where a code page lacks characters, as Windows gives one to whatever is piped."""

import json
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from pipeline.__main__ import main

CHINESE = "一个红球 向左"
Run = Callable[..., tuple[int | str | None, str]]


@pytest.fixture(params=["cp1252", "ascii"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command; its exit code, and what it printed."""
    monkeypatch.chdir(tmp_path)

    def make(*arguments: str) -> tuple[int | str | None, str]:
        stream = BytesIO()
        monkeypatch.setattr(sys, "stdout", TextIOWrapper(stream, encoding=request.param, write_through=True))
        try:
            code: int | str | None = main(list(arguments))
        except SystemExit as end:
            code = end.code
        return code, stream.getvalue().decode(request.param)

    return make


def test_what_is_for_machines_is_whole(run: Run) -> None:
    code, printed = run("plan", CHINESE, "--json")
    assert code == 0
    assert json.loads(printed)["request"]["shots"][0]["prompt"] == CHINESE
    code, printed = run("plan", CHINESE, "--model", CHINESE, "--json")
    assert code == 2
    assert CHINESE in json.loads(printed)["error"]


def test_what_is_for_people_lacks_no_more_than_the_characters(run: Run) -> None:
    code, printed = run("plan", "[1s] 红球 / [1s] 蓝星")
    assert code == 0
    assert "Miniature" in printed
    code, printed = run("edit", "--help")
    assert code == 0
    assert "extend SECONDS" in printed
