"""The forecast against the truth: a draft of the shipped miniature in a process of its own, and what it teaches."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import pipeline
from pipeline.plan.duration import Closeness
from pipeline.plan.spec import VideoShape
from tests.source import ROOT

SENTENCE = "a red ball moves left over snow"


def make_draft(drafts: Path, *arguments: str) -> tuple[dict[str, object], int]:
    """The last event of a draft made by a fresh interpreter, and the most memory that had resident, in bytes."""
    command = [sys.executable, "-m", "pipeline", "draft", SENTENCE, "--profile", "cpu", "--json", *arguments]
    process = subprocess.Popen([*command, "--drafts", str(drafts)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout as pipe:
        printed = pipe.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1]), usage.ru_maxrss * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted in other units elsewhere")
@pytest.mark.parametrize(("width", "height", "guidance"), [(256, 160, 4.0), (128, 96, 1.0), (320, 320, 4.0)])
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
