"""``POST /v1/consent-platform/records``: consents that were said at a platform of others, with a verdict on each."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from adapters.consent_platform import HandedOver, RecordVerdict, take_over
from domain.events import Name
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.rate_limit import never_limited
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["consent records"])
MAX_RECORDS = 1_000


class PlatformBatch(Frozen):
    """Records of one platform."""

    platform: Name = Field(description="A short name of the platform; it stands in the proof.")
    records: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_RECORDS)] = Field(
        description="Each with record_id, recipient_id, purpose, channel, status, effective_at, expires_at, "
        "legal_basis, text_version, source, actor, address."
    )


class PlatformAnswer(Frozen):
    """What became of every record."""

    recorded: int
    known: int
    rejected: int
    verdicts: list[RecordVerdict] = Field(description="In the order of the request; positions count from 0.")


@router.post("/v1/consent-platform/records", summary="Take over the records of a consent platform")
@never_limited
def post_platform_records(
    caller: Annotated[Caller, permission("consents:write")],
    body: Annotated[PlatformBatch, body_of(PlatformBatch)],
    parts: PartsOf,
) -> PlatformAnswer:
    """Record up to 1,000 consents, each on its own; those accepted are effective with the answer.

    A consent given needs its full proof (effective_at, text_version, source, actor, address); without it the item is
    rejected and names what is missing. A withdrawal, refusal or expiry is always accepted: what it does not say, or
    cannot be read, is taken in the widest sense.
    """
    now = parts.clock.now(caller.tenant)
    platform = HandedOver(body.platform, body.records)
    verdicts = take_over(platform, parts.consents, caller.tenant, actor=caller.actor, now=now)
    counts = {name: sum(each.verdict == name for each in verdicts) for name in ("recorded", "known", "rejected")}
    return PlatformAnswer(**counts, verdicts=verdicts)
