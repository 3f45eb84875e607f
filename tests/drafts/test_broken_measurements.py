"""Whatever befalls the file of measurements: the rest is still read, it is said once, and no draft fails by it."""

import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.drafts import measurements
from pipeline.drafts.measurements import MOST_LINES, Measurements
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import Closeness, no_experience
from pipeline.plan.memory import Stage
from pipeline.plan.rates import Rates, guess_rates
from tests.conftest import PlanMaker

MEASURED = Rates(
    operations_per_second=1.5e11, bus_bytes_per_second=2e10, disk_bytes_per_second=2.5e9, measured=True
)  # a fast pair of cores


@pytest.fixture
def kept(tmp_path: Path) -> Measurements:
    return Measurements(tmp_path / "drafts")


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    return make_plan()


@pytest.fixture
def device(plan: DraftPlan) -> Device:
    return plan.memory.device


def record(kept: Measurements, plan: DraftPlan) -> None:
    """A draft that took twice what the formula said."""
    took = {stage: 2 * seconds for stage, seconds in plan.forecast.formula_seconds.items()}
    kept.record_draft(plan, took, encoded=True)


def write_line(kept: Measurements, line: bytes) -> None:
    kept.path.parent.mkdir(exist_ok=True)
    with kept.path.open("ab") as file:
        file.write(line + b"\n")


BROKEN = {
    "binary": os.urandom(5000).replace(b"\n", b"\x00") + b"\xff",
    "torn": b'{"format":1,"kind":"draft","device":["cpu","a te',
    "nested": b"[" * 100_000,
    "a list": b"[1, 2]",
    "a number": b"17",
    "nothing": b"null",
    "no fields": b'{"format":1,"kind":"draft"}',
    "wrong types": b'{"format":1,"kind":"rates","device":7,"rates":[]}',
    "kind of a kind": b'{"format":1,"kind":["rates"]}',
    "digits": b'{"format":' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_is_left_out_and_said_once(
    kept: Measurements, plan: DraftPlan, device: Device, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    kept.record_rates(device, MEASURED)
    write_line(kept, line)
    write_line(kept, line)
    record(kept, plan)
    for _ in range(3):
        experience = kept.experience(plan.request, device)
        assert experience.rates == MEASURED
        assert experience.closeness is Closeness.SHAPE
    (said,) = caplog.records
    assert str(kept.path) in said.getMessage()
    assert said.levelno == logging.WARNING


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1.0", "1e999", "1" + 400 * "0", '"3"', "true", "null", "{}"])
@pytest.mark.parametrize("place", ["measured_seconds", "formula_seconds", "rates"])
def test_a_value_that_is_no_measurement_spoils_its_line_only(
    kept: Measurements, plan: DraftPlan, device: Device, place: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    record(kept, plan)
    row = json.loads(kept.path.read_bytes())
    row[place] |= dict.fromkeys(row[place], "spoilt")
    write_line(kept, json.dumps(row).replace('"spoilt"', value).encode())
    assert kept.experience(plan.request, device).factors == pytest.approx(dict.fromkeys(Stage, 2.0))
    assert len(caplog.records) == 1


def test_lines_of_another_version_are_left_out_silently(
    kept: Measurements, plan: DraftPlan, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    write_line(kept, b'{"format":2,"kind":"rates","shards":9}')
    write_line(kept, b'{"format":1,"kind":"weather","rain":true}')
    assert kept.experience(plan.request, device) == no_experience(guess_rates(device))
    assert not caplog.records


def test_a_line_torn_by_a_full_disk_is_closed_before_the_next(
    kept: Measurements, plan: DraftPlan, device: Device
) -> None:
    kept.path.parent.mkdir()
    kept.path.write_bytes(BROKEN["torn"])
    kept.record_rates(device, MEASURED)
    assert kept.experience(plan.request, device).rates == MEASURED


def test_a_folder_in_its_place_is_said_once_and_fails_nobody(
    kept: Measurements, plan: DraftPlan, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    kept.path.mkdir(parents=True)
    for _ in range(3):
        record(kept, plan)
        assert kept.experience(plan.request, device) == no_experience(guess_rates(device))
    assert [record.getMessage().split(str(kept.path))[1][:15] for record in caplog.records] == [
        " cannot be read",
        " cannot be writ",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders")
def test_a_pipe_in_its_place_does_not_hold_anybody_up(kept: Measurements, plan: DraftPlan, device: Device) -> None:
    kept.path.parent.mkdir()
    os.mkfifo(kept.path)
    record(kept, plan)
    assert kept.experience(plan.request, device) == no_experience(guess_rates(device))


def test_a_file_in_the_folder_s_place_fails_nobody(kept: Measurements, plan: DraftPlan, device: Device) -> None:
    kept.path.parent.write_text("I am a file")
    record(kept, plan)
    assert kept.experience(plan.request, device) == no_experience(guess_rates(device))


# Speed --------------------------------------------------------------------------------------------------------------
def test_what_another_process_appends_is_seen_and_nothing_is_read_twice(
    kept: Measurements, plan: DraftPlan, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = plan.request
    kept.record_rates(device, replace(MEASURED, operations_per_second=1e9))
    kept.experience(request, device)
    Measurements(kept.path.parent).record_rates(device, MEASURED)
    assert kept.experience(request, device).rates == MEASURED
    monkeypatch.setattr(measurements, "_last_lines", lambda _: pytest.fail("read again"))
    assert kept.experience(request, device).rates == MEASURED
    kept.path.unlink()
    assert kept.experience(request, device) == no_experience(guess_rates(device))


def test_a_long_past_is_read_once_and_only_its_end(
    kept: Measurements, plan: DraftPlan, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.record_rates(device, MEASURED)
    record(kept, plan)
    _, line = kept.path.read_bytes().splitlines()
    write_line(kept, b"\n".join([line] * MOST_LINES))
    record(kept, plan)
    experience = kept.experience(plan.request, device)
    assert experience.rates == guess_rates(device)  # measured too long ago to be read
    assert experience.closeness is Closeness.SHAPE
    monkeypatch.setattr(measurements, "_last_lines", lambda _: pytest.fail("read again"))
    monkeypatch.setattr(measurements.json, "loads", lambda *_, **__: pytest.fail("parsed again"))
    assert kept.experience(plan.request, device) == experience
