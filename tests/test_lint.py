"""Ruff finds nothing, in rules and in format: so that `pytest` is the whole test command."""

import subprocess
import sys

import pytest

from tests.source import ROOT


@pytest.mark.parametrize("command", [["check"], ["format", "--check", "--diff"]], ids=["rules", "format"])
def test_ruff_finds_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
