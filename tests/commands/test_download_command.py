"""`python -m pipeline download …`: what is printed for people and for machines, exit codes, Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save

from pipeline.__main__ import main
from pipeline.plan.catalog import CATALOG, LTX_2B
from tests.fake_hub import COMMIT, FakeHub
from tests.source import ROOT

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
CHUNK_BYTES = 10 * 2**20  # which huggingface_hub writes at once


pytestmark = pytest.mark.usefixtures("fake_hub")


def test_a_download_ends_with_0_and_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "ltx-2b"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{constants.HF_HUB_CACHE}/models--Lightricks--LTX-Video-0.9.5/snapshots/{COMMIT}\n"
    assert "LTX-Video 2B 0.9.5, licence: LTX-Video Open Weights License" in err
    assert "100%" in err
    assert main(["download", "ltx-2b"]) == 0
    again, err = capsys.readouterr()
    assert (again, err) == (out, "LTX-Video 2B 0.9.5 is here already; there is nothing to download.\n")


def test_a_download_for_machines_is_one_event_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "ltx-2b", "--json", "--revision", COMMIT]) == 0
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert (events[0]["event"], events[-1]["event"]) == ("DownloadStarted", "DownloadFinished")
    assert {event["event"] for event in events[1:-1]} == {"DownloadProgress"}
    assert events[-2]["done_bytes"] == events[-1]["total_bytes"] == events[0]["total_bytes"]


def test_the_miniature_needs_no_download(fake_hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "miniature"]) == 0
    assert "Miniature ships with Rushes; there is nothing to download." in capsys.readouterr().err
    assert not fake_hub.asked


def test_an_unknown_model_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "sora"]) == 2
    assert ", ".join(CATALOG) in capsys.readouterr().err


def test_a_refusal_ends_with_1(fake_hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    fake_hub.refuses["list"] = "GatedRepo"
    assert main(["download", "ltx-2b"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["download", "ltx-2b", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "hf auth login" in told["hint"]


def test_a_disk_that_is_too_small_ends_with_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Disk", "free")(2**30))
    assert main(["download", "ltx-2b"]) == 3
    assert "The download of LTX-Video 2B 0.9.5 needs about" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.fault(18)
def test_ctrl_c_ends_with_130_and_the_next_attempt_asks_for_the_rest(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """A process of its own, with huggingface_hub as it is, begun as a script's `&` begins one: without SIGINT."""
    files = fake_hub.files[LTX_2B.repository]
    files[TRANSFORMER] = save({"weight": np.zeros(CHUNK_BYTES + 2**20, dtype=np.uint8)})
    fake_hub.stalls[TRANSFORMER] = CHUNK_BYTES + 2**19
    cache = tmp_path / "cache"
    environment = {
        "HF_ENDPOINT": fake_hub.url,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DOWNLOAD_TIMEOUT": "60",  # in seconds; after the usual ten it would ask again, and get everything
        "HF_HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "pipeline", "download", "ltx-2b"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | environment)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert fake_hub.stalled.wait(60)
        (waiting,) = cache.rglob("*.incomplete")
        deadline = time.monotonic() + 60
        while waiting.stat().st_size < CHUNK_BYTES:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped; what came is kept, and the same command goes on from there." in err
    assert "Traceback" not in err
    fake_hub.let_go.set()
    fake_hub.stalls.clear()
    fake_hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    assert main(["download", "ltx-2b"]) == 0
    assert [asked.start for asked in fake_hub.fetched() if asked.name == TRANSFORMER] == [CHUNK_BYTES]
    assert not {"model_index.json", "text_encoder/model.safetensors"} & {asked.name for asked in fake_hub.fetched()}
