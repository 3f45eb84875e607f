"""`python -m pipeline …`: exit codes, what is printed for people and for machines, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.__main__ import main
from pipeline.drafts.measurements import Measurements
from pipeline.gpu import loading
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.rates import Rates
from pipeline.video.mp4 import read_settings
from tests.conftest import DeviceMaker
from tests.source import ROOT
from tests.tiny import count_frames

SMALL = ["--width", "128", "--height", "96", "--steps", "2", "--frames", "57"]


@pytest.fixture(autouse=True)
def device(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    """Every plan of this file is made for one machine, in an empty folder."""
    device = make_device(gib=8.0)
    monkeypatch.setattr(pipeline, "probe_device", lambda **_: device)
    monkeypatch.chdir(tmp_path)
    return device


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# plan ---------------------------------------------------------------------------------------------------------------
def test_a_plan_is_told_with_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "a red ball moves left", "--seconds", "4", "--seed", "7"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Miniature, 256x160, 97 frames (4.0 s), 24 steps, seed 7\n")
    assert "first picture after about" in out
    for stage in ("encode", "denoise", "decode"):
        assert f"  {stage}" in out
    assert "of 7.0 GiB" in out  # auto leaves one of eight alone
    assert "chunk 2: " in out
    assert "  - Computed on a test's processor in float32; 8.0 GiB of 8.0 GiB are free there now." in out
    assert err == ""


def test_a_plan_for_machines_is_one_json_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "红球", "--seed", "7", "--json", "--chunk-frames", "33", "--overlap-frames", "9"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["request"]["shots"][0]["prompt"] == "红球"
    assert {chunk["overlap"] for chunk in plan["chunks"]} == {0, 2}
    assert max(chunk["stop"] - chunk["start"] for chunk in plan["chunks"]) <= 5
    assert plan["peak_bytes"] == max(plan["memory"]["stage_bytes"].values())
    assert len(plan["reasons"]) >= 3


def test_what_holds_chunks_together_is_asked_for_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--tail-strength", "0.9", "--anchor", "0.25", "--shared-noise", "0.5", "--match-colour", "1"]
    given += ["--guided-share", "0.4", "--recall", "0.8", "--turn-away", "0.6"]
    assert main(["plan", "a red ball", "--json", *given]) == 0
    plan = json.loads(capsys.readouterr().out)
    wanted = {"tail_strength": 0.9, "anchor": 0.25, "shared_noise": 0.5, "match_colour": 1.0, "guided_share": 0.4}
    assert plan["request"]["continuity"] == wanted | {"recall": 0.8, "turn_away": 0.6}
    assert any("certain to 88%, the nearest to 90%" in reason for reason in plan["reasons"])


@pytest.mark.parametrize("length", [["--seconds", "60"], ["--frames", "1441"]], ids=["seconds", "frames"])
def test_the_longest_draft_can_be_asked_for_both_ways(capsys: pytest.CaptureFixture[str], length: list[str]) -> None:
    assert main(["plan", "a red ball", *length]) == 0
    assert "1441 frames (60.0 s)" in capsys.readouterr().out


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    assert main(["plan", "a red ball"]) == 0
    assert not list(tmp_path.iterdir())


# Refusals -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "field", "named"),
    [
        (["--width", "250"], "width", "Nearest: 256."),
        (["--height", "9999"], "height", "Nearest: 320."),
        (["--width", "0"], "width", "Nearest: 96."),
        (["--frames", "96"], "frames", "Nearest: 97"),
        (["--frames", "-5"], "frames", "Nearest: 9"),
        (["--seconds", "nan"], "seconds", "60 seconds"),
        (["--seconds", "0"], "seconds", "60 seconds"),
        (["--seconds", "3600"], "seconds", "60 seconds"),
        (["--steps", "0"], "steps", "Nearest: 1."),
        (["--guidance", "nan"], "guidance", "Nearest: 3."),
        (["--guidance", "99"], "guidance", "Nearest: 20."),
        (["--seed", "-1"], "seed", "0 to 4294967295"),
        (["--model", "sora"], "model", "miniature, anyflow-1.3b, ltx-2b"),
        (["--profile", "huge"], "profile", "auto"),
        (["--chunk-frames", "50"], "chunk_frames", "Nearest: 49."),
        (["--overlap-frames", "999"], "overlap_frames", "Nearest: 17."),
        (["--tail-strength", "0.2"], "tail_strength", "Nearest: 0.5."),
        (["--anchor", "2"], "anchor", "Nearest: 1."),
        (["--shared-noise", "nan"], "shared_noise", "Nearest: 0."),
        (["--tail", "frames", "--tail-strength", "0.9"], "tail_strength", "Nearest: 1."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", ["plan", "draft"])
def test_a_bad_request_ends_with_2_and_the_nearest_legal_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, options: list[str], field: str, named: str
) -> None:
    assert main([command, "a red ball", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert named in err
    assert err.count("\n") == 1
    assert main([command, "a red ball", *options, "--json"]) == 2
    (told,) = lines(capsys.readouterr().out)
    assert told["field"] == field
    assert named in f"{told['error']} {told['hint']}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 10_000, "a\x00ball", "a\x1b[31mball"])
def test_a_bad_sentence_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str], prompt: str) -> None:
    assert main(["draft", prompt]) == 2
    err = capsys.readouterr().err
    assert err.startswith(("There is no sentence", "The sentence"))
    assert len(err) < 300


def test_what_does_not_fit_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "a red ball", "--model", "ltx-2b"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "18.3 GiB of main memory and 7.0 GiB are allowed. What fits: Miniature" in err


def test_a_card_that_is_not_here_can_be_planned_for(capsys: pytest.CaptureFixture[str]) -> None:
    card = ["--model", "wan-a14b", "--width", "832", "--height", "480", "--frames", "193", "--vram-limit", "12"]
    assert main(["plan", "a boat", *card, "--ram-limit", "7", "--seed", "1"]) == 3
    assert "of main memory and 7.0 GiB are allowed" in capsys.readouterr().err
    assert main(["plan", "a boat", "--model", "ltx-2b", "--vram-limit", "6", "--seed", "1"]) == 0
    out = capsys.readouterr().out
    assert "a supposed card with 6 GB" in out
    assert "main memory" in out


def test_a_draft_on_a_card_that_is_not_here_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", "a boat", "--vram-limit", "6"]) == 2
    assert "no graphics card here" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["-3", "0", "nan", "1e9"])
def test_an_absurd_limit_is_refused_with_the_nearest_legal_one(capsys: pytest.CaptureFixture[str], limit: str) -> None:
    assert main(["plan", "a boat", "--ram-limit", limit]) == 2
    assert "Nearest: " in capsys.readouterr().err


def test_a_slow_plan_names_shorter_chunks_for_people_and_machines(
    make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "probe_device", lambda **_: make_device(24, DeviceKind.CUDA))
    command = ["plan", "a boat", "--model", "wan-5b", "--seed", "1"]
    assert main(command) == 0
    assert "  faster: 2 shorter chunks, of up to 65 frames, about " in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    change = json.loads(capsys.readouterr().out)["changes"][0]
    assert (change["kind"], change["chunks"], change["chunk_frames"], change["frames"]) == ("chunks", 2, 65, 121)
    assert main([*command, "--json", "--chunk-frames", str(change["chunk_frames"])]) == 0
    taken = json.loads(capsys.readouterr().out)
    assert len(taken["chunks"]) == 2
    assert taken["forecast"]["total_seconds"] == pytest.approx(change["seconds"])


def test_what_is_faster_is_forecast_as_the_plan_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plan", "a ball", "--seconds", "60", "--seed", "1", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []
    slow = Rates(operations_per_second=1e10, bus_bytes_per_second=1e9, disk_bytes_per_second=1e9, measured=True)
    Measurements(tmp_path / "drafts").record_rates(pipeline.probe_device(), slow)
    assert main(command) == 0
    plan = json.loads(capsys.readouterr().out)
    shorter = next(change for change in plan["changes"] if change["kind"] == "length")
    assert shorter["seconds"] > 0.4 * plan["forecast"]["total_seconds"]


def test_what_does_not_fit_names_the_changes_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "a red ball", "--model", "ltx-2b", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [change["model"] for change in told["changes"]] == ["miniature"]


def test_the_doctor_answers_without_measuring(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--quick", "--drafts", str(tmp_path)]) in (0, 1)
    assert "What fits here now" in capsys.readouterr().out
    assert main(["doctor", "--quick", "--json", "--drafts", str(tmp_path)]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["problems"] is not None


def test_a_wrong_option_ends_with_2() -> None:
    with pytest.raises(SystemExit) as end:
        main(["draft", "a red ball", "--frame-rate", "30"])
    assert end.value.code == 2


# draft --------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("tiny")
def test_a_draft_ends_with_0_and_says_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", "a red ball", *SMALL, "--seed", "7", "--drafts", "made"]) == 0
    out, err = capsys.readouterr()
    (film,) = tmp_path.glob("made/*/draft.mp4")
    assert out == f"{film.relative_to(tmp_path)}\n"
    assert count_frames(film) == 57
    assert "chunk 2 of 2" in err
    assert "2.4 of 2.4 s can be played" in err
    assert (read_settings(film) or {})["seed"] == 7


@pytest.mark.usefixtures("tiny")
def test_a_draft_is_also_put_where_it_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = tmp_path / "new folder" / "红.mp4"
    assert main(["draft", "a red ball", *SMALL, "--output", str(wanted)]) == 0
    assert capsys.readouterr().out == f"{wanted}\n"
    assert count_frames(wanted) == 57


@pytest.mark.usefixtures("tiny")
def test_an_output_that_cannot_be_written_does_not_lose_the_draft(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("I am a file")
    assert main(["draft", "a red ball", *SMALL, "--output", str(tmp_path / "file" / "draft.mp4")]) == 1
    (film,) = tmp_path.glob("drafts/*/draft.mp4")
    assert str(film.relative_to(tmp_path)) in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_a_draft_for_machines_is_one_event_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", "a red ball", *SMALL, "--json"]) == 0
    out, err = capsys.readouterr()
    events = lines(out)
    assert [event["event"] for event in events] == [
        *("Started", "Encoded"),
        *("StepDone", "StepDone", "ChunkDenoised", "SliceReady") * 2,
        "Finished",
    ]
    assert all("preview" not in event for event in events)
    assert events[-1]["frames"] == 57
    assert err == ""


def test_a_draft_that_fails_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "ASSETS", tmp_path / "nowhere")
    assert main(["draft", "a red ball", *SMALL]) == 1
    assert "model_index.json" in capsys.readouterr().err


def test_a_drafts_folder_that_cannot_be_written_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("I am a file")
    assert main(["draft", "a red ball", *SMALL, "--drafts", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a process group")
def test_ctrl_c_ends_with_130_and_keeps_what_is_finished(tmp_path: Path) -> None:
    """The shipped miniature in a terminal of its own: Ctrl-C goes to every process in it, ffmpeg included."""
    command = [sys.executable, "-m", "pipeline", "draft", "a red ball rises", "--json", "--steps", "8"]
    options = ["--seconds", "60", "--width", "96", "--height", "96", "--guidance", "1"]
    places = ["--drafts", str(tmp_path / "drafts"), "--output", str(tmp_path / "kept.mp4")]
    with subprocess.Popen(
        [*command, *options, *places], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "SliceReady":
                break
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait(timeout=60) == 130
    (folder,) = (path for path in (tmp_path / "drafts").iterdir() if path.name[0].isdigit())
    last = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "Stopped"
    assert last["frames"] >= 49
    assert count_frames(tmp_path / "kept.mp4") == last["frames"]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
