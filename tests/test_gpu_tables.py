"""The tables of the card's benchmark, from rows that answer as told: ratios, targets, and what goes wrong."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.memory import Stage
from tests.bench import plan_table
from tests.bench.gpu import bench as bench_module
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.process import FAILED, Figures, Job, Task
from tests.bench.gpu.rows import (
    CARDS,
    GIB,
    LTX_2B,
    LTX_13B,
    WAN_5B,
    WAN_A14B,
    Row,
    cap_bytes,
    forecast_bytes,
    make_plan,
)
from tests.bench.gpu.table import CARD_COLUMNS, PEER_COLUMNS
from tests.conftest import DeviceMaker

RATES = {"operations_per_second": 7e14, "bus_bytes_per_second": 5e10, "disk_bytes_per_second": 1e9, "measured": True}
PEERS = {
    "our_step_seconds": 0.101,
    "bare_step_seconds": 0.1,
    "recipe_step_seconds": 0.2,
    "recipe_peak_bytes": 8 * GIB,
    "tiled_frame_seconds": 0.02,
    "tiled_peak_bytes": 3 * GIB,
}


def on(card_gib: int, row: Row) -> Row:
    return replace(row, card_gib=card_gib)


@pytest.fixture
def card(make_device: DeviceMaker) -> Device:
    """A machine that can play every card."""
    return make_device(139.0, DeviceKind.CUDA, ram_gib=128.0, name="NVIDIA H200", compute_capability=(9, 0))


# What is planned -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("row", CARDS, ids=lambda row: f"{row.name} on {row.card_gib}")
def test_a_card_is_played_as_the_readmes_table_says_it_is_used(row: Row, card: Device) -> None:
    assert row.card_gib is not None
    plan = make_plan(row, card)
    promised = plan_table.make_plan(row.spec, (row.width, row.height, row.frames), row.card_gib)
    assert plan.memory.choices == promised.memory.choices
    assert plan.chunks == promised.chunks
    assert plan.request.steps == row.steps >= 2
    assert all(forecast_bytes(plan, stage) <= cap_bytes(plan) < row.card_gib * GIB for stage in Stage)


# The tables ----------------------------------------------------------------------------------------------------------
class Processes:
    """Answers at once what a card would, as `answer` changes it."""

    def __init__(self, answer: Callable[[Job, Figures], Figures]) -> None:
        self.answer, self.jobs, self.closed = answer, list[Job](), False

    def run(self, job: Job, seconds: float) -> Figures:
        """Each stage holds 0.97 of what is forecast."""
        assert seconds > 0
        self.jobs.append(job)
        if job.task is Task.RATES:
            return self.answer(job, RATES | {"torch": "2.11"})
        if job.task is Task.PEERS:
            return self.answer(job, dict(PEERS))
        assert job.plan is not None
        more: dict[Stage, Figures] = {
            Stage.ENCODE: {},
            Stage.DENOISE: {"step_seconds": 0.104},
            Stage.DECODE: {"frame_seconds": 0.012},
        }
        held = {stage: int(0.97 * forecast_bytes(job.plan, stage)) for stage in job.stages}
        found: Figures = {
            stage: more[stage] | {"finite": True, "peak_bytes": held[stage], "host_bytes": 2 * GIB, "pinned_bytes": 0}
            for stage in job.stages
        }
        return self.answer(job, found | {"context_bytes": GIB // 2})

    def close(self) -> None:
        """No process waits."""
        self.closed = True


@pytest.fixture
def run(
    card: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[bool, list[list[str]], Processes]]:
    """Run rows whose processes answer as told; whether all was well, the tables' lines, and the processes."""

    def run_rows(
        *cards: Row,
        peers: tuple[Row, ...] = (),
        answer: Callable[[Job, Figures], Figures] = lambda _, found: found,
        minutes: float = 10.0,
        device: Device | None = None,
    ) -> tuple[bool, list[list[str]], Processes]:
        processes = Processes(answer)
        monkeypatch.setattr(bench_module, "RowProcesses", lambda: processes)
        well = Bench(device or card, tmp_path, minutes=minutes).run(peers, cards)
        printed = capsys.readouterr().out
        lines = [line[1:-1].split("|") for line in printed.splitlines() if line.startswith("| ")]
        cells = [[cell.strip() for cell in line] for line in lines]
        assert cells[0] == list(PEER_COLUMNS)
        assert cells[1 + len(peers)] == list(CARD_COLUMNS)
        assert processes.closed
        return well, cells, processes

    return run_rows


def is_on(job: Job, model: str) -> bool:
    return job.plan is not None and job.plan.request.model == model and job.task is Task.CARD


def test_each_row_is_a_line_with_its_ratios_and_targets(run: Any) -> None:
    well, lines, _ = run(on(4, LTX_2B), on(8, LTX_13B), peers=(LTX_2B, LTX_13B))
    assert well
    peers = dict(zip(PEER_COLUMNS, lines[1], strict=True))
    assert peers["÷ bare pipeline's"] == "1.010 met"
    assert peers["of matrix product"] == "0.685 met"  # 2 passes of 24.2e12 operations in 0.101 s at 7e14
    small, streamed = (dict(zip(CARD_COLUMNS, line, strict=True)) for line in lines[4:])
    assert small["transformer"] == "fp8"
    assert small["denoise: peak ÷ forecast"].endswith("= 0.970 met")
    assert small["÷ resident"] == "1.03"  # of nothing that has to be hidden
    assert small["decode: time ÷ tiled"] == "0.600 met"
    assert small["peak ÷ recipe's"].endswith("met")
    assert small["step ÷ recipe's"] == "0.520 met"
    assert small[""].startswith("within the cap")
    assert streamed["transformer"] == "bfloat16 streamed"
    assert streamed["÷ resident"] == "1.03, copying alone 4.89"  # 46 of 48 blocks, 24.7 GB, at 50 GB/s


def test_streaming_is_judged_where_copying_is_shorter_than_computing(run: Any) -> None:
    def slow(job: Job, found: Figures) -> Figures:
        if job.task is Task.PEERS:
            found["our_step_seconds"] = 1.0
        if Stage.DENOISE in found:
            found[Stage.DENOISE]["step_seconds"] = 1.06
        return found

    _, lines, _ = run(on(8, LTX_13B), peers=(LTX_13B,), answer=slow)
    assert lines[-1][CARD_COLUMNS.index("÷ resident")] == "1.060 missed"


def test_a_row_above_the_cap_is_told_and_fails_the_run(run: Any) -> None:
    def swell(job: Job, found: Figures) -> Figures:
        if is_on(job, "wan-5b"):
            assert job.plan is not None
            found[Stage.DECODE]["peak_bytes"] = cap_bytes(job.plan) + 1
        return found

    well, lines, _ = run(on(8, WAN_5B), on(8, LTX_13B), answer=swell)
    assert not well
    assert lines[-2][-1].startswith("ABOVE THE CAP of 7.00 GiB: decode")
    assert lines[-1][-1].startswith("within the cap")


def test_running_out_of_memory_is_above_the_cap_too(run: Any) -> None:
    def exhaust(job: Job, found: Figures) -> Figures:
        return found | ({Stage.DENOISE: {"exhausted": True}, FAILED: "it ran out"} if is_on(job, "wan-5b") else {})

    well, lines, _ = run(on(8, WAN_5B), answer=exhaust)
    assert not well
    assert lines[-1][CARD_COLUMNS.index("denoise: peak ÷ forecast")] == "ran out of memory"
    assert lines[-1][-1].startswith("ABOVE THE CAP of 7.00 GiB: denoise, it ran out")


def test_a_row_that_fails_is_told_and_the_others_go_on(run: Any) -> None:
    def crash(job: Job, found: Figures) -> Figures:
        if job.task is not Task.RATES and job.plan is not None and job.plan.request.model == "ltx-13b":
            return {FAILED: "its process ended with code -9"}
        return found

    well, lines, _ = run(on(8, LTX_13B), on(8, WAN_5B), peers=(LTX_13B, WAN_5B), answer=crash)
    assert well  # nothing went above its cap
    assert lines[1][-1] == "its process ended with code -9"
    assert lines[2][2].endswith("met")
    assert lines[-2][-1] == "its process ended with code -9"
    assert lines[-1][-1].startswith("within the cap")


def test_what_was_not_run_for_want_of_disk_is_said(run: Any) -> None:
    def skip(_: Job, found: Figures) -> Figures:
        return found | ({Stage.ENCODE: {"skipped": "no room"}} if Stage.ENCODE in found else {})

    well, lines, _ = run(on(4, LTX_2B), answer=skip)
    assert well
    assert lines[-1][CARD_COLUMNS.index("encode: peak ÷ forecast")] == "not run: no room"
    assert lines[-1][-1].startswith("within the cap as far as it came")


def test_numbers_that_are_none_are_told(run: Any) -> None:
    def spoil(_: Job, found: Figures) -> Figures:
        if Stage.DENOISE in found:
            found[Stage.DENOISE]["finite"] = False
        return found

    _, lines, _ = run(on(4, LTX_2B), answer=spoil)
    assert "not finite: denoise" in lines[-1][-1]


def test_what_is_run_as_on_a_smaller_card_is_not_run_again(run: Any) -> None:
    """13B denoises and decodes on 12 GB as on 8; its text encoder is another. On 24 GB all is as on 16."""
    rows = on(8, LTX_13B), on(12, LTX_13B), on(16, LTX_13B), on(24, LTX_13B)
    _, lines, processes = run(*rows)
    assert [job.stages for job in processes.jobs[1:]] == [
        (Stage.DENOISE, Stage.DECODE, Stage.ENCODE),
        (Stage.ENCODE,),
        (Stage.DENOISE,),
    ]
    assert lines[3][-1].endswith("denoise as on 8 GB, decode as on 8 GB")
    assert lines[5][-1] == "within the cap, denoise as on 16 GB, decode as on 8 GB, encode as on 12 GB"
    column = CARD_COLUMNS.index("denoise: peak ÷ forecast")
    assert lines[2][column] == lines[3][column] != lines[4][column] == lines[5][column]


def test_what_failed_on_a_smaller_card_is_run_again(run: Any) -> None:
    def exhaust(job: Job, found: Figures) -> Figures:
        small = job.plan is not None and cap_bytes(job.plan) < 8 * GIB
        return found | ({Stage.DENOISE: {"exhausted": True}} if small and Stage.DENOISE in found else {})

    _, _, processes = run(on(8, LTX_13B), on(12, LTX_13B), answer=exhaust)
    assert processes.jobs[-1].stages == (Stage.DENOISE, Stage.ENCODE)


def test_a_text_encoder_that_stays_on_the_card_is_there_for_the_other_stages(run: Any) -> None:
    _, _, processes = run(on(24, LTX_2B), on(24, replace(LTX_2B, width=768, height=512, frames=97)))
    assert [job.stages for job in processes.jobs[1:]] == [tuple(Stage)] * 2


def test_after_the_time_rows_are_not_run(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

        strftime = staticmethod(time.strftime)

    def minute(_: Job, found: Figures) -> Figures:
        now[0] += 60
        return found

    monkeypatch.setattr(bench_module, "time", Clock)
    rows = on(4, LTX_2B), on(8, WAN_5B), on(8, LTX_13B), on(8, WAN_A14B)
    well, lines, processes = run(*rows, minutes=3.0, answer=minute)
    assert well
    assert len(processes.jobs) == 3  # the rates and two rows: 180 s, of which 15 are kept
    assert [line[-1].split(",")[0] for line in lines[2:]] == ["within the cap"] * 2 + ["not run: the time was over"] * 2


def test_a_card_larger_than_this_one_is_not_played(run: Any, card: Device) -> None:
    small = replace(card, total_bytes=12 * GIB, free_bytes=12 * GIB)
    well, lines, _ = run(on(24, LTX_2B), on(4, LTX_2B), device=small)
    assert well
    assert lines[2][-1] == "not run: the card here has 12 GiB"
    assert lines[3][-1].startswith("within the cap")
