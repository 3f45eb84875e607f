"""--start-image and --end-image: the request names a picture, the draft has it, or a sentence says why not."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pipeline
from pipeline.__main__ import main
from tests.conftest import DeviceMaker, RequestMaker

SMALL = ["--width", "96", "--height", "96", "--steps", "1", "--frames", "9", "--guidance", "1"]
SENTENCE = "a red ball rises"


@pytest.fixture(autouse=True)
def machine(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = make_device(gib=8.0)
    monkeypatch.setattr(pipeline, "probe_device", lambda **_: device)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (120, 100), (250, 20, 20)).save("red.png")
    Image.new("RGB", (100, 100), (20, 20, 250)).save("blue.jpg")
    Image.new("RGB", (1, 1)).save("dot.png")


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["plan", "--json", *arguments]) == 0
    request: dict[str, Any] = json.loads(capsys.readouterr().out)["request"]
    return request


def test_a_plan_names_the_pictures_and_keeps_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    request = planned(capsys, SENTENCE, "--start-image", "red.png", "--end-image", "blue.jpg")
    assert len(request["start_image"]) == len(request["end_image"]) == 64
    assert request["start_image"] != request["end_image"]
    assert not Path("drafts/.pictures").exists()
    assert pipeline.keep_picture(Path("red.png")) == request["start_image"]
    assert planned(capsys, SENTENCE)["start_image"] is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--start-image", "dot.png"], "too small: it has 1 x 1 pixels"),
        (["--end-image", "none.png"], "There is no file none.png"),
        (["--start-image", "red.png", "--model", "wan-a14b"], "Wan2.2 T2V-A14B takes no start frame"),
        (["--end-image", "red.png", "--model", "wan-5b"], "Wan2.2 TI2V-5B takes no end frame"),
        (["--end-image", "red.png", "--model", "anyflow-1.3b"], "AnyFlow-FAR 1.3B takes no end frame"),
        (["--end-image", "red.png", "--tail", "co-denoise"], "holds no end frame"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_gets_a_sentence(capsys: pytest.CaptureFixture[str], given: list[str], said: str) -> None:
    assert main(["draft", SENTENCE, *given]) == 2
    assert said in capsys.readouterr().err
    assert not Path("drafts").exists()


@pytest.mark.usefixtures("tiny")
def test_a_film_is_made_again_from_its_picture_or_says_that_it_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", SENTENCE, *SMALL, "--start-image", "red.png", "--output", "a.mp4", "--seed", "3"]) == 0
    (draft,) = Path("drafts").glob("2*")
    with Image.open(draft / "start.png") as image:
        assert (image.size, image.getpixel((50, 50))) == ((96, 96), (250, 20, 20))
    first = (draft / "chunk-000.latents.safetensors").read_bytes()
    assert main(["draft", "--settings", "a.mp4"]) == 0
    again = max(Path("drafts").glob("2*"), key=lambda folder: folder.stat().st_mtime_ns)
    assert again != draft
    assert (again / "chunk-000.latents.safetensors").read_bytes() == first
    assert main(["draft", "--settings", "a.mp4", "--drafts", "elsewhere"]) == 2
    assert "The picture of the start frame is not in elsewhere any more. Give the picture" in capsys.readouterr().err
    other = ["draft", "--settings", "a.mp4", "--drafts", "elsewhere", "--start-image", "blue.jpg"]
    assert main(other) == 0
    (blue,) = Path("elsewhere").glob("2*")
    assert (blue / "chunk-000.latents.safetensors").read_bytes() != first


def test_pictures_may_be_given_besides_settings(capsys: pytest.CaptureFixture[str], make_request: RequestMaker) -> None:
    Path("request.json").write_text(json.dumps(asdict(make_request(frames=25))), encoding="utf-8")
    request = planned(capsys, "--settings", "request.json", "--start-image", "red.png")
    assert request["start_image"] == pipeline.keep_picture(Path("red.png"))
    assert request["frames"] == 25
