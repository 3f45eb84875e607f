"""Somebody who reads /metrics a hundred times a second while drafts wait and are counted."""

import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvicorn
from starlette.applications import Starlette

from pipeline.metrics import Metrics
from pipeline.plan.draft import DraftPlan
from pipeline.studio.health import metrics_route
from pipeline.worker import Worker

A_SECOND = 100
DRAFTS = 16  # that wait


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeFigures:
    """From a reading's beginning to its last byte; those that failed are `lost`."""

    readings: int
    median_ms: float
    p99_ms: float
    lost: int


def soak_scrapes(folder: Path, readings: int, plan: DraftPlan) -> ScrapeFigures:
    """Read over HTTP, evenly, by eight who take turns."""
    with closing(Worker(folder, longest_queue=DRAFTS)) as worker:
        metrics = Metrics(worker)
        for _ in range(DRAFTS):
            worker.submit(plan)
        with _served(metrics) as url, ThreadPoolExecutor(8) as pool:
            _read(url, 0.0)
            begun = time.monotonic() + 0.1
            took = list(pool.map(lambda number: _read(url, begun + number / A_SECOND), range(readings)))
    whole = np.array([seconds for seconds in took if seconds is not None]) * 1000
    return ScrapeFigures(
        readings=readings,
        median_ms=float(np.median(whole)),
        p99_ms=float(np.percentile(whole, 99)),
        lost=readings - len(whole),
    )


def _read(url: str, due: float) -> float | None:
    time.sleep(max(0.0, due - time.monotonic()))
    start = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return time.monotonic() - start if b"rushes_drafts{" in answer.read() else None
    except OSError:
        return None


@contextmanager
def _served(metrics: Metrics) -> Iterator[str]:
    """As the studio serves it, without the studio."""
    config = uvicorn.Config(Starlette(routes=[metrics_route(metrics)]), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        server.should_exit = True
        thread.join()
