"""What has happened, as numbers for Prometheus. Fed by the worker, asked by /metrics.

Labels are states, stages and models of the catalog: no draft, no person, no word of a sentence, so their number is
fixed.
"""

import time
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pipeline.drafts.status import DraftState
from pipeline.events import (
    ENDS,
    ChunkDenoised,
    Encoded,
    Event,
    Failed,
    Finished,
    Retreated,
    SliceReady,
    Started,
    StepDone,
    Stopped,
)
from pipeline.health import Readiness
from pipeline.plan.memory import Stage
from pipeline.worker import Worker

STEP_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)  # the miniature's on a CPU to the largest model's
STAGE_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
OUTCOMES = {Finished: DraftState.FINISHED, Stopped: DraftState.STOPPED, Failed: DraftState.FAILED}


class Metrics:
    """Counts what a worker does from now on. A `health.Watcher`."""

    def __init__(self, worker: Worker) -> None:
        disable_created_metrics()  # a second series for each, of no use here
        self.registry = registry = CollectorRegistry()
        self._waits: dict[str, float] = {}
        self._models: dict[str, str] = {}
        self.ended = Counter("rushes_drafts_ended", "Drafts that are over", ["state"], registry=registry)
        self.wait = Histogram(
            "rushes_queue_wait_seconds", "From the queue to the engine", buckets=STAGE_SECONDS, registry=registry
        )
        self.step = Histogram("rushes_step_seconds", "A denoising step", buckets=STEP_SECONDS, registry=registry)
        self.stage = Histogram(
            "rushes_stage_seconds",
            "Encoding a draft's sentences, denoising a chunk, decoding a slice",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.forecast = Gauge(
            "rushes_forecast_peak_bytes", "Peak forecast for the newest draft", ["model"], registry=registry
        )
        self.peak = Gauge("rushes_peak_bytes", "Peak of the newest finished draft", ["model"], registry=registry)
        self.rungs = Counter(
            "rushes_rungs", "Times a stage went on in a way that takes less memory", ["stage"], registry=registry
        )
        self.shortages = Counter("rushes_out_of_memory", "Times memory ran out", ["stage"], registry=registry)
        self.sentences = Counter("rushes_sentences", "Sentences encoded or found", ["cached"], registry=registry)
        self.respawns = Counter("rushes_respawns", "Times the engine's process ended by itself", registry=registry)
        for state in OUTCOMES.values():
            self.ended.labels(state)
        for stage in Stage:
            self.stage.labels(stage), self.rungs.labels(stage), self.shortages.labels(stage)
        for cached in ("yes", "no"):
            self.sentences.labels(cached)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(_Now(worker))
        worker.watchers.append(self)

    def queued(self, draft: str) -> None:
        """A draft waits from now on."""
        self._waits[draft] = time.monotonic()

    def respawned(self) -> None:
        """The process ended by itself and will be started again."""
        self.respawns.inc()

    def told(self, draft: str, event: Event) -> None:
        """The engine said something about a draft."""
        match event:
            case Started():
                self._models[draft] = model = event.plan.request.model
                self.forecast.labels(model).set(event.plan.memory.peak_bytes)
                began = self._waits.pop(draft, None)
                if began is not None:
                    self.wait.observe(time.monotonic() - began)
            case Encoded():
                self.stage.labels(Stage.ENCODE).observe(event.seconds)
                self.sentences.labels("yes").inc(event.cached)
                self.sentences.labels("no").inc(event.sentences - event.cached)
            case StepDone():
                self.step.observe(event.seconds)
            case ChunkDenoised():
                self.stage.labels(Stage.DENOISE).observe(event.seconds)
            case SliceReady():
                self.stage.labels(Stage.DECODE).observe(event.seconds)
            case Retreated():
                self.rungs.labels(event.stage).inc()
                self.shortages.labels(event.stage).inc()
            case Finished() | Stopped() | Failed():
                self.ended.labels(OUTCOMES[type(event)]).inc()
        if isinstance(event, Failed) and event.out_of_memory_in:
            self.shortages.labels(event.out_of_memory_in).inc()
        if isinstance(event, ENDS):
            model = self._models.pop(draft, "")
            self._waits.pop(draft, None)
            if isinstance(event, Finished) and model:
                self.peak.labels(model).set(event.peak_bytes)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Now(Collector):
    """What is asked of the worker when somebody looks."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Drafts in hand and readiness."""
        health = self._worker.health()
        drafts = GaugeMetricFamily("rushes_drafts", "Drafts in hand", labels=["state"])
        for state in DraftState:
            if not state.over:
                drafts.add_metric([state], health.drafts.get(state, 0))
        yield drafts
        readiness = GaugeMetricFamily("rushes_readiness", "1 for what the worker is now", labels=["readiness"])
        for name in Readiness:
            readiness.add_metric([name], float(name is health.readiness))
        yield readiness
