"""`plan` and `draft` with --settings: the request is the file's, and nothing given besides it is lost in silence."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

import pipeline
from pipeline.__main__ import main
from pipeline.plan.request import GenerationRequest
from pipeline.settings import read_settings
from tests.conftest import DeviceMaker, RequestMaker


@pytest.fixture(autouse=True)
def machine(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = make_device(gib=8.0)
    monkeypatch.setattr(pipeline, "probe_device", lambda **_: device)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def asked(make_request: RequestMaker) -> GenerationRequest:
    request = make_request(frames=25, steps=3, seed=11)
    Path("request.json").write_text(json.dumps(asdict(request)), encoding="utf-8")
    return request


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> GenerationRequest:
    assert main(["plan", "--json", *arguments]) == 0
    values = json.loads(capsys.readouterr().out)["request"]
    Path("planned.json").write_text(json.dumps(values), encoding="utf-8")
    return read_settings(Path("planned.json")).request


def test_everything_is_as_the_file_has_it(capsys: pytest.CaptureFixture[str], asked: GenerationRequest) -> None:
    assert planned(capsys, "--settings", "request.json") == asked


@pytest.mark.parametrize("edited", [True, False])
def test_a_film_of_several_takes_is_said_to_become_another(
    capsys: pytest.CaptureFixture[str], asked: GenerationRequest, edited: bool
) -> None:
    Path("edited.json").write_text(json.dumps(asdict(asked) | {"edited": edited}), encoding="utf-8")
    assert main(["plan", "--settings", "edited.json"]) == 0
    said = "edited.json was put together from several takes: only the settings of its first are used"
    assert capsys.readouterr().err.startswith(said) is edited


def test_another_seed_makes_another_take(capsys: pytest.CaptureFixture[str], asked: GenerationRequest) -> None:
    taken = planned(capsys, "--settings", "request.json", "--seed", "12")
    assert (taken.seed, taken.shots) == (12, asked.shots)


@pytest.mark.parametrize(
    "given",
    [
        ["a ball"],
        ["--steps", "4"],
        ["--width", "128"],
        ["--vram-limit", "4"],
        ["--anchor", "0.5"],
        ["--seconds", "2"],
        ["--model", "ltx-2b"],
    ],
)
@pytest.mark.usefixtures("asked")
def test_a_setting_given_twice_is_refused_by_name(capsys: pytest.CaptureFixture[str], given: list[str]) -> None:
    assert main(["draft", "--settings", "request.json", *given]) == 2
    assert "here and in --settings" in capsys.readouterr().err
    assert not Path("drafts").exists()


def test_a_file_that_is_no_good_is_a_bad_request(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.json").write_text('{"shots": 1}', encoding="utf-8")
    assert main(["draft", "--json", "--settings", "bad.json"]) == 2
    assert json.loads(capsys.readouterr().out)["field"] == "settings"


def test_neither_a_sentence_nor_a_file_is_no_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft"]) == 2
    assert "There is no sentence yet." in capsys.readouterr().err
