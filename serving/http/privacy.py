"""``/v1/recipients/{id}/erasure`` and ``/v1/erasures/{id}``: erase a person, and the receipt that names each place."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints

from adapters.personal_data import place_names
from adapters.postgres.erasures import Erasure, Mode, UnknownErasure
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.parts import Parts

router = APIRouter(route_class=Route, tags=["privacy"])
Ground = Annotated[str, StringConstraints(min_length=3, max_length=200)]


class ErasureRequest(Frozen):
    """What is to be left alone; an empty object erases everything."""

    keep: dict[str, Ground] = Field(
        default_factory=dict, description="Places to leave alone, each with the ground, such as a legal hold."
    )


class Receipt(Frozen):
    """How a request stands; it is done when every place is."""

    erasure_id: str
    mode: Mode = Field(description="Whether everything goes, or events stay under a random id.")
    is_done: bool
    requested_at: datetime
    finished_at: datetime | None
    done: dict[str, int] = Field(description="Places done, each with the number of rows erased there.")
    keep: dict[str, str] = Field(description="Places left alone, each with the ground.")
    waiting: tuple[str, ...] = Field(description="Places still to be done.")
    remains: dict[str, str] = Field(description="What stays of every erased person, each with the reason.")


@router.post(PREFIX + "/erasure", status_code=202, summary="Erase a recipient", responses=problems(422))
def post_erasure(
    caller: Annotated[Caller, permission("privacy:write")],
    recipient_id: RecipientId,
    body: Annotated[ErasureRequest, body_of(ErasureRequest)],
    parts: PartsOf,
) -> Receipt:
    """Refuse every later message at once, and erase what is known place by place; asking again changes nothing."""
    return _asked(caller, recipient_id, body, parts, Mode.ERASE)


@router.post(PREFIX + "/anonymize", status_code=202, summary="Anonymize a recipient", responses=problems(422))
def post_anonymize(
    caller: Annotated[Caller, permission("privacy:write")],
    recipient_id: RecipientId,
    body: Annotated[ErasureRequest, body_of(ErasureRequest)],
    parts: PartsOf,
) -> Receipt:
    """Erase who the recipient was and keep what they did: events under a random id that leads to nobody, for good."""
    return _asked(caller, recipient_id, body, parts, Mode.ANONYMIZE)


def _asked(caller: Caller, recipient_id: str, body: ErasureRequest, parts: Parts, mode: Mode) -> Receipt:
    unknown = sorted(set(body.keep) - set(place_names.erasable()))
    if unknown:
        expected = f"one of: {', '.join(place_names.erasable())}"
        problem = FieldError(field="keep", expected=expected)
        raise Refused(ProblemCode.INVALID, "A place to be kept is none of ours.", errors=[problem])
    now = parts.clock.now(caller.tenant)
    asked = parts.erasures.request(caller.tenant, recipient_id, actor=caller.actor, now=now, keep=body.keep, mode=mode)
    return _receipt(asked)


@router.get("/v1/erasures/{erasure_id}", summary="Read the receipt of an erasure", responses=problems(404))
def get_erasure(
    caller: Annotated[Caller, permission("privacy:read")],
    erasure_id: Annotated[str, Path(max_length=64)],
    parts: PartsOf,
) -> Receipt:
    """Tell which places are done, with counts, which were left alone on which ground, and which are waited for."""
    try:
        return _receipt(parts.erasures.get(caller.tenant, erasure_id))
    except UnknownErasure:
        raise Refused(ProblemCode.NOT_FOUND, "There is no such erasure.") from None


def _receipt(erasure: Erasure) -> Receipt:
    every = place_names.every()
    return Receipt(
        erasure_id=erasure.erasure_id,
        mode=erasure.mode,
        is_done=erasure.finished_at is not None,
        requested_at=erasure.requested_at,
        finished_at=erasure.finished_at,
        done=erasure.done,
        keep=erasure.keep,
        waiting=tuple(name for name in every if name not in erasure.done and name not in erasure.keep)
        if erasure.finished_at is None
        else (),
        remains=place_names.KEPT,
    )
