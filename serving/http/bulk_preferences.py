"""``POST /v1/preferences/bulk``: the same preferences for up to 10,000 recipients, as a job."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import Field, model_validator

from adapters.postgres.bulk_preferences import KIND
from domain.events import Identifier
from domain.jobs import Job
from domain.preferences import Preference
from domain.values import Frozen
from serving.admission import Lane
from serving.http.auth import Caller, PartsOf, permission
from serving.http.routes import Route, in_lane
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["preferences"])
MAX_RECIPIENTS = 10_000
MAX_EACH = 20


class BulkPreferences(Frozen):
    """Which preferences for whom."""

    recipient_ids: tuple[Identifier, ...] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    preferences: tuple[Preference, ...] = Field(min_length=1, max_length=MAX_EACH)

    @model_validator(mode="after")
    def _names_nobody_twice(self) -> Self:
        if len(set(self.recipient_ids)) < len(self.recipient_ids):
            raise ValueError("recipient_ids must not name a recipient twice")
        if len({each.preference_id for each in self.preferences}) < len(self.preferences):
            raise ValueError("preferences must not have a scope twice")
        return self


@router.post("/v1/preferences/bulk", status_code=202, summary="Store preferences for many recipients")
@in_lane(Lane.BATCH)
def post_bulk_preferences(
    caller: Annotated[Caller, permission("preferences:write")],
    body: Annotated[BulkPreferences, body_of(BulkPreferences)],
    parts: PartsOf,
) -> Job:
    """Queue a job that stores these preferences for each recipient, all of them or none, with a verdict on each.

    `GET /v1/jobs/{job_id}` says how far it is; a kill at any moment neither loses nor repeats an item.
    """
    total = len(body.recipient_ids)
    payload = body.model_dump(mode="json")
    return parts.jobs.submit(caller.tenant, KIND, total=total, payload=payload, actor=caller.actor)
