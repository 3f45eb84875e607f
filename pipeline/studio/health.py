"""For whoever watches over the server: /health says whether a draft can be made now, /metrics what has happened."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.drafts.status import DraftState
from pipeline.health import Readiness
from pipeline.metrics import Metrics
from pipeline.worker import Worker

NO_STORE = {"Cache-Control": "no-store"}


def health_route(worker: Worker) -> Route:
    """200 while drafts are taken and made, 503 with the reason while not."""

    async def tell(_request: Request) -> Response:
        health = worker.health()
        able = health.readiness in (Readiness.READY, Readiness.BUSY)
        answer = {
            "status": health.readiness,
            "reason": health.reason,
            "queued": health.drafts.get(DraftState.QUEUED, 0),
        }
        return JSONResponse(answer, 200 if able else 503, NO_STORE)

    return Route("/health", tell)


def metrics_route(metrics: Metrics) -> Route:
    """Prometheus' text format, written out in less than a millisecond: not worth a thread, which would have to come."""

    async def tell(_request: Request) -> Response:
        return Response(metrics.exposition(), headers=NO_STORE, media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", tell)
