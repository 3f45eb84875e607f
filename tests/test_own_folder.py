"""`--weights MODEL=DIR` from the command line to the process that makes pictures, and a machine without a network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.__main__ import main
from pipeline.drafts.status import DraftState
from pipeline.gpu import loading
from pipeline.gpu.loading import ASSETS
from pipeline.plan.catalog import LTX_2B
from pipeline.worker import Worker
from tests.conftest import DeviceMaker, PlanMaker
from tests.source import ROOT
from tests.test_weights import REVISION
from tests.test_worker import follow, over
from tests.tiny import count_frames

SHORT = ["--width", "96", "--height", "96", "--steps", "1", "--frames", "9", "--guidance", "1"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The miniature in a folder of one's own."""
    return Path(shutil.copytree(ASSETS / "miniature", tmp_path / "mine"))


@pytest.fixture(autouse=True)
def elsewhere(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In this process nothing is shipped: what is made comes from a folder of one's own."""
    monkeypatch.setattr(loading, "ASSETS", tmp_path / "nowhere")
    monkeypatch.setattr(pipeline, "probe_device", lambda **_: make_device(gib=8.0))
    monkeypatch.chdir(tmp_path)


def test_a_draft_is_made_from_ones_own_folder(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["draft", "a red ball", *SHORT, "--weights", "miniature=mine", "--output", "made.mp4"]) == 0
    assert count_frames(tmp_path / "made.mp4") == 9
    capsys.readouterr()
    assert main(["draft", "a red ball", *SHORT]) == 1
    assert "nowhere" in capsys.readouterr().err
    monkeypatch.setattr(loading, "ASSETS", ASSETS)
    (own / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert main(["draft", "a red ball", *SHORT, "--weights", "miniature=mine"]) == 1
    assert f"{own / 'vae'} has no diffusion_pytorch_model.safetensors" in capsys.readouterr().err


def test_a_draft_that_was_cut_off_goes_on_with_ones_own_folder(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = ["--weights", f"miniature={own}"]
    assert main(["draft", "a red ball", *SHORT, *weights]) == 0
    (film,) = tmp_path.glob("drafts/*/draft.mp4")
    for name in ("draft.mp4", "events.jsonl"):
        (film.parent / name).unlink()
    assert main(["resume"]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert main(["resume", *weights]) == 0
    assert count_frames(film) == 9


@pytest.mark.parametrize(
    ("weights", "code", "said"),
    [
        ("mine", 2, "--weights MODEL=DIR"),
        ("sora=mine", 2, "Models: miniature, "),
        ("ltx-2b=mine", 1, "vocab_size of its text_encoder is 133, not 32128"),
        ("miniature=yours", 1, "yours is not a folder"),
    ],
)
@pytest.mark.usefixtures("own")
def test_a_wrong_folder_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: str, code: int, said: str
) -> None:
    assert main(["draft", "a red ball", *SHORT, "--weights", weights]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_for_another_model_than_asked_for_is_refused(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", "a boat", "--model", "ltx-2b", "--weights", f"miniature={own}"]) == 2
    assert "Add --model miniature." in capsys.readouterr().err


def test_the_process_that_makes_pictures_looks_there(own: Path, tmp_path: Path, make_plan: PlanMaker) -> None:
    (own / "scheduler").rename(own / "sampler")
    worker = Worker(tmp_path / "drafts", {"miniature": own})
    try:
        worker.start()
        end = follow(worker, worker.submit(make_plan(frames=9, steps=1)), over)
    finally:
        worker.close()
    assert end.state is DraftState.FAILED
    assert end.message == f"{own} has no scheduler."


def test_the_studio_refuses_a_wrong_folder_at_once(own: Path, tmp_path: Path) -> None:
    command = [sys.executable, "app.py", "--no-browser", "--port", "0", "--drafts", str(tmp_path / "drafts")]
    done = subprocess.run(
        [*command, "--weights", f"wan-5b={own}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{own} is not Wan2.2 TI2V-5B" in done.stderr
    assert not (tmp_path / "drafts").exists()


# Without a network --------------------------------------------------------------------------------------------------
OFFLINE = """
import json, socket, sys
asked = []

def refuse(*arguments, **_):
    asked.append(repr(arguments))
    raise OSError("no network")

socket.getaddrinfo = socket.create_connection = socket.socket.connect = socket.socket.connect_ex = refuse
from pipeline.__main__ import main
from pipeline.gpu.loading import find_checkpoint
from pipeline.plan.catalog import LTX_2B, WAN_5B
from pipeline.plan.spec import Component
from pipeline.installed import find_installation
import torch

codes = [main(arguments) for arguments in json.loads(sys.argv[1])]
checkpoint = find_checkpoint(LTX_2B)
checkpoint.tokenizer(), checkpoint.scheduler(), checkpoint.describe(Component.VAE)
checkpoint.load(Component.TEXT_ENCODER, torch.float32)
print(json.dumps({"codes": codes, "asked": asked, "usable": find_installation(LTX_2B).usable}))
"""


@pytest.mark.fault(22)
def test_offline_nobody_is_asked(own: Path, tmp_path: Path) -> None:
    """Drafts, downloads of what is here, the list of models and the opening of what is in the cache."""
    place = tmp_path / "hub" / f"models--{LTX_2B.repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(REVISION)
    shutil.copytree(own, place / "snapshots" / REVISION)
    drafts = ["--drafts", str(tmp_path / "drafts")]
    commands = [
        ["draft", "a red ball", *SHORT, *drafts, "--weights", f"miniature={own}"],
        ["models", "--json", *drafts],
        ["download", "ltx-2b"],
        ["download", "wan-5b"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, json.dumps(commands)],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"codes": [0, 0, 0, 1], "asked": [], "usable": True}
    assert "Nothing is downloaded while HF_HUB_OFFLINE is set" in done.stderr
