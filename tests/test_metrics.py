"""What is counted, told as Prometheus reads it; and how the worker says it is."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.drafts.journal import Journal
from pipeline.drafts.status import DraftState
from pipeline.events import (
    ChunkDenoised,
    Encoded,
    Failed,
    Finished,
    Retreated,
    SliceReady,
    Started,
    StepDone,
    Stopped,
)
from pipeline.health import Readiness
from pipeline.metrics import Metrics
from pipeline.plan.draft import DraftPlan
from pipeline.process import DIED
from pipeline.worker import LONGEST_QUEUE, Worker
from tests.conftest import PlanMaker
from tests.workers import PATIENCE_SECONDS

SECRET = "aquamarine"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """Without a process: what is submitted waits."""
    worker = Worker(tmp_path / "drafts")
    yield worker
    worker.close()


@pytest.fixture
def plan(make_plan: PlanMaker) -> DraftPlan:
    return make_plan()


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels, as a scraper reads them."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}[{labels}]" if labels else sample.name] = sample.value
    return found


def make(metrics: Metrics, plan: DraftPlan, *, draft: str = "one") -> None:
    """Tell a whole draft's story, in which memory runs out once."""
    metrics.queued(draft)
    for event in (
        Started(draft=draft, plan=plan),
        Encoded(sentences=2, cached=1, seconds=0.5),
        StepDone(chunk=0, step=1, steps=2, seconds=0.02, preview=None),
        StepDone(chunk=0, step=2, steps=2, seconds=0.2, preview=None),
        ChunkDenoised(chunk=0, seconds=0.25),
        Retreated(stage="decode", reason="It was too much."),
        SliceReady(index=0, chunk=0, file="slice-000.mp4", first_frame=0, frames=25, seconds=2.0),
        Finished(file="draft.mp4", frames=25, seconds=3.0, peak_bytes=123_000_000),
    ):
        metrics.told(draft, event)


def test_a_drafts_story_is_counted(worker: Worker, plan: DraftPlan) -> None:
    metrics = Metrics(worker)
    make(metrics, plan)
    found = samples(metrics)
    expected = {
        "rushes_drafts_ended_total[state=finished]": 1,
        "rushes_drafts_ended_total[state=failed]": 0,
        "rushes_queue_wait_seconds_count": 1,
        "rushes_step_seconds_count": 2,
        "rushes_step_seconds_sum": 0.22,
        "rushes_step_seconds_bucket[le=0.03]": 1,
        "rushes_stage_seconds_sum[stage=encode]": 0.5,
        "rushes_stage_seconds_sum[stage=denoise]": 0.25,
        "rushes_stage_seconds_sum[stage=decode]": 2.0,
        "rushes_rungs_total[stage=decode]": 1,
        "rushes_rungs_total[stage=denoise]": 0,
        "rushes_out_of_memory_total[stage=decode]": 1,
        "rushes_sentences_total[cached=yes]": 1,
        "rushes_sentences_total[cached=no]": 1,
        "rushes_forecast_peak_bytes[model=miniature]": plan.memory.peak_bytes,
        "rushes_peak_bytes[model=miniature]": 123_000_000,
        "rushes_respawns_total": 0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_how_drafts_end_is_counted_apart(worker: Worker) -> None:
    metrics = Metrics(worker)
    metrics.told("one", Stopped(file=None, frames=0, chunks=0, seconds=0.0))
    metrics.told("two", Failed(message="The disk is full.", hint=""))
    metrics.told("three", Failed(message="Memory ran out.", hint="", out_of_memory_in="denoise"))
    found = samples(metrics)
    assert [found[f"rushes_drafts_ended_total[state={state}]"] for state in ("stopped", "failed")] == [1, 2]
    assert found["rushes_out_of_memory_total[stage=denoise]"] == 1
    assert found["rushes_rungs_total[stage=denoise]"] == 0


def test_what_waits_is_asked_of_the_worker(worker: Worker, plan: DraftPlan) -> None:
    metrics = Metrics(worker)
    drafts = [worker.submit(plan) for _ in range(3)]
    assert samples(metrics)["rushes_drafts[state=queued]"] == 3
    worker.stop(drafts[0])
    found = samples(metrics)
    assert (found["rushes_drafts[state=queued]"], found["rushes_drafts_ended_total[state=stopped]"]) == (2, 1)


@pytest.mark.fault(40)
def test_more_drafts_are_no_more_series_and_no_word_of_them_is_told(worker: Worker, make_plan: PlanMaker) -> None:
    metrics = Metrics(worker)
    make(metrics, make_plan(negative_prompt=SECRET))
    before = samples(metrics).keys()
    for draft in range(50):
        make(metrics, make_plan(negative_prompt=f"{SECRET} {draft}"), draft=f"{SECRET}-{draft}")
    assert samples(metrics).keys() == before
    assert SECRET not in metrics.exposition().decode()


@pytest.mark.fault(40)
def test_whoever_reads_while_much_happens_reads_whole_counts(worker: Worker, plan: DraftPlan) -> None:
    """Four tell stories as four read; nothing is torn, no count goes back, none is lost."""
    metrics = Metrics(worker)
    make(metrics, plan)
    series = samples(metrics).keys()

    def tell(number: int) -> None:
        for draft in range(25):
            make(metrics, plan, draft=f"{number}-{draft}")

    def read(_: int) -> list[float]:
        counts = []
        for _ in range(25):
            found = samples(metrics)
            assert found.keys() == series
            counts.append(found["rushes_drafts_ended_total[state=finished]"])
        return counts

    with ThreadPoolExecutor(8) as pool:
        telling, reading = pool.map(tell, range(4)), pool.map(read, range(4))
        seen = list(reading)
        assert len(list(telling)) == 4
    assert all(counts == sorted(counts) for counts in seen)
    assert samples(metrics)["rushes_drafts_ended_total[state=finished]"] == 101


@pytest.mark.fault(40)
def test_whoever_reads_waits_for_nothing_that_is_written_to_the_disk(
    worker: Worker, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk keeps whoever asks for a draft, and nobody else."""
    metrics, writing, go_on = Metrics(worker), threading.Event(), threading.Event()

    def begin(*_: object) -> None:
        writing.set()
        go_on.wait()

    monkeypatch.setattr(Journal, "begin", begin)
    with ThreadPoolExecutor(2) as pool:
        try:
            submitted = pool.submit(worker.submit, plan)
            assert writing.wait(PATIENCE_SECONDS)
            found = pool.submit(samples, metrics).result(PATIENCE_SECONDS)
            assert not submitted.done()
        finally:
            go_on.set()
    assert found["rushes_drafts[state=queued]"] == 0
    assert found["rushes_readiness[readiness=degraded]"] == 1


def test_nothing_is_remembered_of_drafts_that_are_over(worker: Worker, plan: DraftPlan) -> None:
    metrics = Metrics(worker)
    for draft in range(50):
        make(metrics, plan, draft=str(draft))
    assert not metrics._waits
    assert not metrics._models


def test_a_process_that_ended_by_itself_is_counted(worker: Worker) -> None:
    metrics = Metrics(worker)
    worker.engine_died(DIED, broken=False)
    assert samples(metrics)["rushes_respawns_total"] == 1
    assert worker.health().reason == DIED.message


# Health -------------------------------------------------------------------------------------------------------------
@pytest.mark.fault(41)
def test_a_worker_that_cannot_make_drafts_says_so_and_why(worker: Worker, plan: DraftPlan) -> None:
    health = worker.health()
    assert (health.readiness, health.reason) == (Readiness.DEGRADED, "The engine is warming up.")
    worker.submit(plan)
    assert worker.health().drafts == {DraftState.QUEUED: 1}
    worker._ready = True
    assert (worker.health().readiness, worker.health().reason) == (Readiness.READY, "")
    worker._running = "one"
    assert worker.health().readiness is Readiness.BUSY
    worker._running = None
    worker.close()
    assert worker.health().readiness is Readiness.DRAINING


def test_a_full_queue_is_told_with_every_draft_in_it(worker: Worker, plan: DraftPlan) -> None:
    for _ in range(LONGEST_QUEUE):
        worker.submit(plan)
    assert worker.health().drafts[DraftState.QUEUED] == LONGEST_QUEUE


def test_every_name_is_one_that_prometheus_takes(worker: Worker) -> None:
    for name in samples(Metrics(worker)):
        assert re.match(r"(rushes|process|python)_[a-z_]+(\[|$)", name), name
