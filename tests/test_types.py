"""Mypy in strict mode finds nothing: so that `pytest` is the whole test command. About a minute the first time."""

import subprocess
import sys

from tests.source import ROOT


def test_mypy_finds_nothing() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
