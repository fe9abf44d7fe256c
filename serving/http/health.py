"""Is it alive, is it ready, and its numbers: for whoever restarts, routes to and watches the service.

Alive never depends on another server: restarting us would not bring that one back.
"""

from fastapi import APIRouter, Depends, Response
from starlette.responses import JSONResponse

from adapters import heartbeat
from domain.values import Frozen
from serving import metrics
from serving.http.auth import PartsOf, public
from serving.probes import Readiness, State, survey

router = APIRouter(tags=["operation"], dependencies=[Depends(public)])


class Health(Frozen):
    """The process answers."""

    status: str = "alive"


class ReadinessAnswer(Frozen):
    """What the service can do now."""

    status: Readiness
    dependencies: dict[str, State]


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> Health:
    """Answer while the process runs, whatever else is down."""
    return Health()


@router.get("/readyz", summary="Can it do its work", responses={503: {"model": ReadinessAnswer}})
def readyz(parts: PartsOf) -> ReadinessAnswer:
    """Say ready, degraded (answers come by a fallback, and say so) or not ready (503), and how each dependency is."""
    readiness, states = survey(parts.probes)
    answer = ReadinessAnswer(status=readiness, dependencies=states)
    if readiness is Readiness.NOT_READY:
        return JSONResponse(answer.model_dump(mode="json"), 503)  # type: ignore[return-value]
    return answer


@router.get("/metrics", summary="Numbers in Prometheus' format", response_class=Response)
def numbers(parts: PartsOf) -> Response:
    """Return every metric of every worker of this service, and those of the processes beside it, which have no port."""
    content = metrics.exposition() + heartbeat.exposition(parts.settings.data_dir)
    return Response(content, media_type=metrics.CONTENT_TYPE)
