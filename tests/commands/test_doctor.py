"""The report says what is wrong first, what fits here, and never fails, whatever the machine."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest

import pipeline
from pipeline.commands import doctor, fitting
from pipeline.commands.doctor import PROFILE, Report, examine
from pipeline.commands.fitting import Fit
from pipeline.drafts.measurements import Measurements
from pipeline.gpu import access, rates
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import CATALOG
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.duration import Closeness
from pipeline.plan.presets import find_profile
from pipeline.plan.rates import Rates, guess_rates
from tests.conftest import DeviceMaker
from tests.source import ROOT

Examiner = Callable[..., Report]
MEASURED = Rates(operations_per_second=4e11, bus_bytes_per_second=2e10, disk_bytes_per_second=2.5e9, measured=True)


@pytest.fixture
def drafts(tmp_path: Path) -> Path:
    return tmp_path / "drafts"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, drafts: Path) -> Examiner:
    """A quick report for a machine that is not this one, with a torch that can use it."""

    def examine_it(device: Device, obstacle: str = "") -> Report:
        monkeypatch.setattr(doctor, "probe_device", lambda **_: device)
        monkeypatch.setattr(access, "find_obstacle", lambda _: obstacle)
        monkeypatch.setattr(access, "find_overlooked_card", lambda _: "")
        return examine(drafts, measure=False)

    return examine_it


def value(report: Report, name: str) -> str:
    (found,) = [fact.value for fact in report.facts if fact.name == name]
    return found


def own_draft(report: Report) -> Fit:
    """Of the first model, which fits everywhere."""
    (fit,) = [draft.fit for draft in report.models[0].drafts if draft.name == "its own"]
    assert fit
    return fit


# This machine -------------------------------------------------------------------------------------------------------
def test_this_machine_is_told_with_everything_a_draft_depends_on(drafts: Path) -> None:
    report = examine(drafts, measure=False)
    assert value(report, "version") == pipeline.__version__
    for library in ("torch", "diffusers", "transformers", "optimum-quanto", "gradio", "moviepy", "huggingface-hub"):
        assert value(report, library) == version(library)
    assert value(report, "ffmpeg").startswith("ffmpeg version")
    assert Path(value(report, "ffmpeg program")).is_file()
    assert str(drafts) in value(report, "drafts folder")
    assert [model.key for model in report.models] == list(CATALOG)
    assert report.device
    assert report.rates
    assert not drafts.exists()


def test_the_report_is_a_page_and_a_json_value(drafts: Path) -> None:
    report = examine(drafts, measure=False)
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert plain["device"]["kind"] == report.device.kind
    assert [model["key"] for model in plain["models"]] == list(CATALOG)
    assert plain["budget"]["ram_bytes"] == report.budget.ram_bytes
    for model, found in zip(plain["models"], report.models, strict=True):
        assert [draft["name"] for draft in model["drafts"]] == [draft.name for draft in found.drafts]
    text = report.to_text()
    assert text.startswith("No problems found.\n" if not report.problems else "! ")
    for model in CATALOG.values():
        assert model.title in text


def test_what_is_measured_is_what_the_next_forecast_rests_on(
    drafts: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = make_device(gib=16.0)
    monkeypatch.setattr(doctor, "probe_device", lambda **_: device)
    monkeypatch.setattr(rates, "measure_rates", lambda *_: MEASURED)
    first, second = examine(drafts), examine(drafts, measure=False)
    assert first.rates == second.rates == MEASURED
    assert value(first, "matrix product") == "0.40 TFLOP/s in float32, measured now"
    assert value(second, "disk") == "2.50 GB/s, measured earlier"
    request = pipeline.request("-", seed=0)
    experience = Measurements(drafts).experience(request, device)
    assert experience.closeness is Closeness.RATES
    forecast = plan_draft(request, device, find_profile("auto"), experience).forecast
    assert own_draft(first).high_seconds == forecast.high_seconds


def test_what_is_measured_counts_even_where_it_cannot_be_kept(
    drafts: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts.write_text("I am a file")
    device = make_device(gib=16.0)
    monkeypatch.setattr(doctor, "probe_device", lambda **_: device)
    quick = examine(drafts, measure=False)
    monkeypatch.setattr(rates, "measure_rates", lambda *_: MEASURED)
    measured = examine(drafts)
    assert measured.rates == MEASURED
    assert own_draft(measured).low_seconds != own_draft(quick).low_seconds
    assert any("choose another folder with --drafts" in problem for problem in measured.problems)


# Other machines -----------------------------------------------------------------------------------------------------
def test_a_card_is_told_with_driver_memory_and_precisions(on: Examiner, make_device: DeviceMaker) -> None:
    new = on(make_device(12.0, DeviceKind.CUDA, compute_capability=(8, 6), driver="570.86"))
    assert [value(new, name) for name in ("driver", "compute capability", "VRAM", "computes in")] == [
        "570.86",
        "8.6",
        "12.0 GiB free of 12.0 GiB",
        "bfloat16",
    ]
    assert [value(new, name).split(":")[0] for name in ("bfloat16", "fp8", "int8", "int4")] == ["yes"] * 4
    assert value(new, "memory to card").endswith("guessed")
    old = on(make_device(12.0, DeviceKind.CUDA, compute_capability=(7, 5)))
    assert [value(old, name).split(":")[0] for name in ("bfloat16", "fp8", "int8", "int4")] == [
        "no",
        "yes",
        "yes",
        "no",
    ]
    assert "8.0 or more" in value(old, "int4")
    host = on(make_device())
    assert all(value(host, name).startswith("no: wants an NVIDIA card") for name in ("bfloat16", "fp8", "int8", "int4"))


def test_the_table_says_how_much_may_be_used(on: Examiner, make_device: DeviceMaker) -> None:
    heading = f"What fits here now, with profile {PROFILE}: "
    card = on(make_device(12.0, DeviceKind.CUDA, ram_gib=32.0))
    assert f"{heading}11.0 GiB of the card and 31.0 GiB of main memory\n" in card.to_text()
    assert (card.budget.card_bytes, card.budget.ram_bytes) == (11 * 2**30, 31 * 2**30)
    assert f"{heading}15.0 GiB of main memory\n" in on(make_device(16.0)).to_text()
    assert card.problems == ()


def test_where_nothing_fits_it_says_what_is_missing(on: Examiner, make_device: DeviceMaker) -> None:
    report = on(make_device(gib=1.1))
    assert "No model fits here now: close other programs, or free some disk." in report.problems
    assert not any(model.fits for model in report.models)
    text = report.to_text()
    assert text.count("    none fits: ") == len(CATALOG)
    assert text.count(" of main memory, 102 MiB are allowed") == len(CATALOG)


def test_a_card_that_others_fill_is_a_problem(on: Examiner, make_device: DeviceMaker) -> None:
    (problem,) = on(make_device(8.0, DeviceKind.CUDA, total_bytes=24 * 2**30)).problems
    assert problem == "Other programs hold 16.0 GiB of the card's 24.0 GiB: close them, nvidia-smi names them."


@pytest.mark.parametrize("order", [None, "PCI_BUS_ID", "FASTEST_FIRST"])
def test_cards_that_somebody_counts_in_another_order_are_a_problem(
    order: str | None, on: Examiner, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    if order:
        monkeypatch.setenv("CUDA_DEVICE_ORDER", order)
    problems = on(make_device(24.0, DeviceKind.CUDA)).problems
    said = "CUDA_DEVICE_ORDER is FASTEST_FIRST: with several cards a draft may be planned for another than the one it"
    assert [problem.startswith(said) for problem in problems] == [True] * (order == "FASTEST_FIRST")


def test_a_card_that_torch_cannot_use_is_a_problem_and_is_not_measured(
    on: Examiner, make_device: DeviceMaker, drafts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = make_device(24.0, DeviceKind.CUDA)
    monkeypatch.setattr(rates, "measure_rates", lambda *_: pytest.fail("measured"))
    report = on(card, obstacle="This torch cannot. Install another.")
    assert report.problems == ("This torch cannot. Install another.",)
    report = examine(drafts)
    assert report.problems == ("This torch cannot. Install another.",)
    assert value(report, "torch can use it") == "no"
    assert report.rates == guess_rates(card)


def test_a_card_that_the_driver_does_not_name_is_a_problem(
    on: Examiner, make_device: DeviceMaker, drafts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(make_device())
    monkeypatch.setattr(access, "find_overlooked_card", lambda _: "NVIDIA T4")
    (problem,) = examine(drafts, measure=False).problems
    assert problem.startswith("torch finds the NVIDIA T4 and nvidia-smi does not")


# Strange machines ---------------------------------------------------------------------------------------------------
def test_a_library_that_is_not_installed_is_a_problem(drafts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_quanto(name: str) -> str:
        if name == "optimum-quanto":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", without_quanto)
    report = examine(drafts, measure=False)
    assert value(report, "optimum-quanto") == "not installed"
    assert any(problem.startswith("optimum-quanto is not installed. Install") for problem in report.problems)


@pytest.mark.parametrize("content", [None, "#!/bin/sh\nexit 3\n"], ids=["missing", "failing"])
def test_an_ffmpeg_that_does_not_run_is_a_problem(
    drafts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    program = tmp_path / "ffmpeg"
    if content:
        program.write_text(content)
        program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    problems = [p for p in examine(drafts, measure=False).problems if "ffmpeg" in p]
    assert len(problems) == 1
    assert problems[0].endswith("pip install --force-reinstall imageio-ffmpeg")


def test_a_full_disk_is_a_problem(drafts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    problems = examine(drafts, measure=False).problems
    assert any(problem.startswith("Only 1 MiB are free for drafts in") for problem in problems)


def test_probes_that_all_fail_are_sentences(drafts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a strange machine\nwith a second line")

    for name in ("plan_draft", "find_absent_weights"):
        monkeypatch.setattr(fitting, name, fail)
    monkeypatch.setattr(doctor, "version", fail)
    monkeypatch.setattr(access, "find_obstacle", fail)
    monkeypatch.setattr(doctor.subprocess, "run", fail)
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", fail)
    report = examine(drafts, measure=True)
    assert "LTX-Video 2B 0.9.5 could not be examined: a strange machine." in report.problems
    assert len(report.problems) > 10
    assert report.models == ()
    assert report.to_text().startswith("! ")
    monkeypatch.setattr(doctor, "probe_device", fail)
    report = examine(drafts)
    assert report.device is None
    assert "The device could not be examined: a strange machine." in report.problems
    json.dumps(report.to_json())
    report.to_text()


def test_a_measurement_that_fails_leaves_the_guess(
    drafts: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory.")

    device = make_device()
    monkeypatch.setattr(doctor, "probe_device", lambda **_: device)
    monkeypatch.setattr(rates, "measure_rates", fail)
    report = examine(drafts)
    assert report.problems == ("How fast the device is could not be examined: CUDA out of memory.",)
    assert report.rates == guess_rates(device)
    assert own_draft(report).high_seconds > 0


def test_importing_the_doctor_imports_no_heavy_library() -> None:
    heavy = "{'torch', 'gradio', 'diffusers', 'transformers'}"
    code = f"import sys, pipeline.commands.doctor; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout == "[]\n", done.stderr
