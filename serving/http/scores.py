"""``POST /v1/score``: up to 10,000 scores in one job, of recipients or of features, with a verdict on each."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from domain.jobs import Job
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.score_jobs import KIND, ScoreItem

router = APIRouter(route_class=Route, tags=["models"])
MAX_ITEMS = 10_000


class ScoreRequest(Frozen):
    """What to score."""

    items: tuple[ScoreItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)


@router.post("/v1/score", status_code=202, summary="Score many recipients or rows of features")
def post_score(
    caller: Annotated[Caller, permission("scores:write")],
    body: Annotated[ScoreRequest, body_of(ScoreRequest)],
    parts: PartsOf,
) -> Job:
    """Queue a job that scores each item with the model that serves; nothing is decided, recorded or sent.

    `GET /v1/jobs/{job_id}` says how far it is, its `results` hold the scores by position: `p_convert` by channel for a
    recipient, one number for features.
    """
    payload = body.model_dump(mode="json")
    return parts.jobs.submit(caller.tenant, KIND, total=len(body.items), payload=payload, actor=caller.actor)
