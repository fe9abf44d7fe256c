"""``/v1/jobs``: how far long work is, and the verdict on each of its items."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from adapters.postgres.jobs import UnknownJob
from domain.jobs import ItemResult, Job
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.errors import ProblemCode, Refused, problems
from serving.http.routes import Route

router = APIRouter(route_class=Route, prefix="/v1/jobs", tags=["jobs"])
Reader = Annotated[Caller, permission("jobs:read")]
JobId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
MAX_PAGE = 1_000


class ItemResults(Frozen):
    """Verdicts in order of position; ``next_cursor`` is null when these were the last so far."""

    results: list[ItemResult]
    next_cursor: NextCursor


@router.get("/{job_id}", summary="Read how far a job is", responses=problems(404))
def get_job(caller: Reader, job_id: JobId, parts: PartsOf) -> Job:
    """Return the job as it stands; one whose worker died goes on within half a minute."""
    try:
        return parts.jobs.get(caller.tenant, job_id)
    except UnknownJob:
        raise _unknown() from None


@router.get("/{job_id}/results", summary="Read the verdicts on a job's items", responses=problems(404))
def get_job_results(
    caller: Reader,
    job_id: JobId,
    parts: PartsOf,
    page: PageOf,
    after: Annotated[int, Query(ge=-1, le=2**31 - 1, description="Only items behind this position.")] = -1,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> ItemResults:
    """Return a page of verdicts; items without one yet are absent."""
    place = page.place(caller, int)
    try:
        results = parts.jobs.results(caller.tenant, job_id, after=after if place is None else place, limit=limit)
    except UnknownJob:
        raise _unknown() from None
    following = page.following(caller, results, limit, lambda each: each.position)
    return ItemResults(results=results, next_cursor=following)


def _unknown() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "There is no such job.")
