"""The command of the card's benchmark, the processes of its rows, and one whole run with the miniature here."""

import json
import os
import sys
import time
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.memory import Stage
from tests.bench.gpu import __main__ as command
from tests.bench.gpu import bench as bench_module
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.process import FAILED, Job, RowProcesses, Task, serve
from tests.bench.gpu.rows import LTX_2B, Row, make_plan
from tests.conftest import DeviceMaker


@pytest.fixture
def card(make_device: DeviceMaker) -> Device:
    """A machine that can play every card."""
    return make_device(139.0, DeviceKind.CUDA, ram_gib=128.0, name="NVIDIA H200", compute_capability=(9, 0))


# Processes -----------------------------------------------------------------------------------------------------------
JOB_SECONDS = 60.0  # a process that answers is done long before


def answer_and_die(pipe: Connection) -> None:
    """A row's process that crashes halfway."""
    job = pipe.recv()
    pipe.send({"seen": job.task})
    os._exit(7)


def hang(pipe: Connection) -> None:
    """A row's process that never ends."""
    pipe.recv()
    time.sleep(JOB_SECONDS)


@pytest.fixture
def job(card: Device, tmp_path: Path) -> Job:
    return Job(task=Task.CARD, device=card, folder=tmp_path, plan=make_plan(replace(LTX_2B, card_gib=4), card))


def test_what_a_process_measured_before_it_crashed_is_kept(job: Job) -> None:
    processes = RowProcesses(answer_and_die)
    try:
        for _ in range(2):
            assert processes.run(job, JOB_SECONDS) == {"seen": Task.CARD, FAILED: "its process ended with code 7"}
    finally:
        processes.close()


def test_a_process_that_takes_too_long_is_ended(job: Job) -> None:
    processes = RowProcesses(hang)
    try:
        assert processes.run(job, 1.0) == {FAILED: "stopped after 1 s"}
    finally:
        processes.close()


def test_an_error_is_one_line_and_the_end(card: Device, tmp_path: Path) -> None:
    ours, theirs = Pipe()
    ours.send(Job(task=Task.RATES, device=replace(card, supposed=True), folder=tmp_path))
    serve(theirs)
    assert ours.recv() == {FAILED: "ValueError: NVIDIA H200 is not there to be measured"}
    assert ours.recv() is None


# The command ---------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_miniature_rows_are_run_from_beginning_to_end(
    make_device: DeviceMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row(model="miniature", width=128, height=96, frames=97, steps=2)
    save = tmp_path / "figures.jsonl"
    folder = tmp_path / "folder"
    folder.mkdir()
    assert Bench(make_device(gib=64.0), folder, minutes=10.0, save=save).run(
        (row,), (replace(row, card_gib=8), replace(row, card_gib=12))
    )
    printed = capsys.readouterr().out
    lines = [line[1:-1].split("|") for line in printed.splitlines() if line.startswith("| ")]
    assert all(" ÷ " in cell for cell in lines[3][3:7])
    assert lines[3][-1].startswith(" within the cap, ")
    assert lines[4][-1].strip() == "within the cap, denoise as on 8 GB, decode as on 8 GB, encode as on 8 GB"
    assert not any("–" in cell for line in lines for cell in line)
    rates, peers, card = (json.loads(line) for line in save.read_text().splitlines())
    assert rates["operations_per_second"] > 0
    assert len(peers) == 7  # its name and six figures
    assert card.keys() > set(Stage)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
    return command.main()


def test_without_a_card_nothing_is_run(
    make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "probe_device", lambda **_: make_device())
    assert run_command(monkeypatch) == 2
    assert "There is no NVIDIA card here" in capsys.readouterr().err


def test_models_and_steps_can_be_chosen(card: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[Row, ...]] = []

    def note(_: Bench, peers: tuple[Row, ...], cards: tuple[Row, ...]) -> bool:
        ran.extend((peers, cards))
        return False

    monkeypatch.setattr(command, "probe_device", lambda **_: card)
    monkeypatch.setattr(bench_module, "RowProcesses", lambda: None)
    monkeypatch.setattr(Bench, "run", note)
    assert run_command(monkeypatch, "--only", "wan-5b", "ltx-13b", "--steps", "5") == 1
    assert [len(rows) for rows in ran] == [2, 8]
    assert {row.model for rows in ran for row in rows} == {"wan-5b", "ltx-13b"}
    assert {row.steps for rows in ran for row in rows} == {5}
    with pytest.raises(SystemExit):
        run_command(monkeypatch, "--steps", "1")
