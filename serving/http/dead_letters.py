"""``/v1/dead-letters``: what was received but is no event, with its bytes, and a second try by the rules of today."""

import base64
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from adapters.postgres.dead_letters import DeadLetter
from domain.ingest import Counts, ItemVerdict, read
from domain.values import Frozen, Moment
from serving import metrics
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route

router = APIRouter(route_class=Route, prefix="/v1/dead-letters", tags=["dead letters"])
ERASED = declared("dead_letter.erased", 409, "What was received was erased with the person it names.")
LetterId = Annotated[int, Path(ge=1, lt=2**63)]
PAGE, MAX_PAGE = 50, 200


class ShownLetter(Frozen):
    """A dead letter; its bytes as text, or in base64 when they are none. Both are null when they were erased."""

    dead_letter_id: int
    received_at: datetime
    origin: str = Field(description="`api`, a file's name, or `replay:` and the letter that was tried again.")
    position: int
    reason: str = Field(description="A code of docs/errors.md.")
    field: str | None
    expected: str
    raw: str | None
    raw_base64: str | None


class LetterPage(Frozen):
    """Dead letters, newest first."""

    dead_letters: list[ShownLetter]
    next_cursor: NextCursor


class Replayed(Frozen):
    """What became of the letter this time."""

    verdict: ItemVerdict


@router.get("", summary="List dead letters")
def get_dead_letters(
    caller: Annotated[Caller, permission("dead_letters:read")],
    parts: PartsOf,
    page: PageOf,
    since: Annotated[Moment | None, Query(description="Only those received from then on.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
) -> LetterPage:
    """Return what was refused, with the bytes received and what was expected; reading them is in the audit trail."""
    before = page.place(caller, tuple[datetime, int])
    found = parts.dead_letters.newest(caller.tenant, actor=caller.actor, since=since, before=before, limit=limit)
    following = page.following(caller, found, limit, lambda each: (each.received_at, each.dead_letter_id))
    return LetterPage(dead_letters=[_shown(each) for each in found], next_cursor=following)


@router.post(
    "/{dead_letter_id}/replay",
    summary="Try a dead letter again",
    responses=problems(404, 409),
    response_model_exclude_none=True,
)
def replay_dead_letter(
    caller: Annotated[Caller, permission("dead_letters:replay")], dead_letter_id: LetterId, parts: PartsOf
) -> Replayed:
    """Read the bytes again as an event, by the rules of today, and store it; one that is stored already is a duplicate.

    The letter stays. One that still is no event is refused with what was expected, and nothing is stored.
    """
    letter = parts.dead_letters.for_replay(caller.tenant, dead_letter_id, actor=caller.actor)
    if letter is None:
        raise Refused(ProblemCode.NOT_FOUND, "This tenant has no such dead letter.")
    if not letter.raw:
        raise Refused(ERASED, "What was received was erased with the person it names.")
    item = read(letter.raw, 0)
    if (why := item.rejection) is not None:
        problem = FieldError(field=why.field or "", expected=why.expected)
        raise Refused(why.code, "It still is no event; nothing was stored.", errors=[problem])
    tenant, origin = caller.tenant, f"replay:{dead_letter_id}"
    now, received_at = parts.clock.now(tenant), parts.clock.real()
    (verdict,) = parts.event_log.append(tenant, [item], origin=origin, received_at=received_at, now=now)
    metrics.count_ingest(tenant.tenant, Counts.of([verdict]))
    return Replayed(verdict=verdict)


def _shown(letter: DeadLetter) -> ShownLetter:
    known = letter.model_dump(exclude={"raw"})
    try:
        return ShownLetter(**known, raw=letter.raw.decode() or None, raw_base64=None)
    except UnicodeDecodeError:
        return ShownLetter(**known, raw=None, raw_base64=base64.b64encode(letter.raw).decode())
