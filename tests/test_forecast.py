"""The forecast against the truth: a draft of the shipped miniature in a process of its own, and what it teaches."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import pipeline
from pipeline.plan.duration import Closeness
from pipeline.plan.spec import VideoShape
from tests.source import ROOT

# The kernel's own count of this program; that of the parent, by wait4, begins with the parent's memory at the fork.
WATCHED = """
import sys
from pipeline.__main__ import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print(next(line.strip() for line in status if line.startswith("VmHWM")))
sys.exit(code)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted elsewhere otherwise")
SENTENCE = "a red ball moves left over snow"


def make_draft(drafts: Path, *arguments: str) -> tuple[dict[str, object], int]:
    """The last event of a draft made by a fresh interpreter, and the most memory that had resident, in bytes."""
    command = ["draft", SENTENCE, "--profile", "cpu", "--json", *arguments, "--drafts", str(drafts)]
    done = subprocess.run([sys.executable, "-c", WATCHED, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, last, peak = done.stdout.splitlines()
    return json.loads(last), int(peak.split()[1]) * 1024


@pytest.mark.parametrize(
    ("width", "height", "guidance"),
    [(256, 160, 4.0), (128, 96, 1.0), pytest.param(320, 320, 4.0, marks=pytest.mark.slow)],
)
def test_the_largest_resident_memory_is_within_a_tenth_of_the_forecast(
    tmp_path: Path, width: int, height: int, guidance: float
) -> None:
    shape = VideoShape(width=width, height=height)
    request = replace(pipeline.request(SENTENCE, seed=1), shape=shape, steps=3, guidance=guidance, profile="cpu")
    plan = pipeline.plan(request, tmp_path)
    size = ["--width", str(width), "--height", str(height), "--steps", "3", "--guidance", str(guidance)]
    _, resident = make_draft(tmp_path, *size)
    assert plan.memory.peak_bytes == pytest.approx(resident, rel=0.10)


def test_a_finished_draft_teaches_the_next_forecast(tmp_path: Path) -> None:
    request = replace(pipeline.request(SENTENCE, seconds=1, seed=1), steps=4, profile="cpu")
    assert pipeline.plan(request, tmp_path).forecast.closeness is Closeness.GUESSED
    finished, _ = make_draft(tmp_path, "--seconds", "1", "--steps", "4")
    again = pipeline.plan(request, tmp_path).forecast
    assert again.closeness is Closeness.SHAPE
    assert again.total_seconds == pytest.approx(finished["seconds"], rel=0.35)
    other = pipeline.plan(replace(request, steps=8), tmp_path).forecast
    assert other.closeness is Closeness.MODEL
    assert other.band > again.band
