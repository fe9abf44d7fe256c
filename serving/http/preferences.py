"""``/v1/recipients/{id}/preferences``: what a recipient chose, in versions, and which choice wins for a message.

A preference is effective when it is answered: no decision that is recorded later can miss it.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from adapters.postgres.preferences import (
    NotAllowed,
    PreferenceVersion,
    RecipientGone,
    StoredPreference,
    UnknownPreference,
    VersionConflict,
)
from domain.events import Name
from domain.preference_resolution import Resolved
from domain.preferences import Preference
from domain.values import Channel, Frozen, Moment
from serving import preference_lookup
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.decision_requests import UNKNOWN_TYPE
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.opt_out_signal import SignalOf
from serving.http.problem_codes import declared
from serving.http.rate_limit import never_limited
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.situations import UnknownType

router = APIRouter(route_class=Route, prefix=PREFIX + "/preferences", tags=["preferences"])
VERSION_CONFLICT = declared("preference.version_conflict", 412, "The preference has changed since the version you saw.")
NOT_ALLOWED = declared("preference.not_allowed", 409, "The tenant's preference policy does not allow this preference.")
Reader = Annotated[Caller, permission("preferences:read")]
Writer = Annotated[Caller, permission("preferences:write")]
PreferenceId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="The name of the preference's scope.")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"\d{1,9}"$',
        description='The ETag you saw, "0" for none; another version is not changed.',
    ),
]


class PreferenceList(Frozen):
    """Every preference of a recipient."""

    preferences: list[StoredPreference]


class PreferenceHistory(Frozen):
    """Every version a preference had, oldest first."""

    versions: list[PreferenceVersion]


@router.get("", summary="Read a recipient's preferences")
def get_preferences(caller: Reader, recipient_id: RecipientId, parts: PartsOf) -> PreferenceList:
    """Return every preference there is, by id."""
    return PreferenceList(preferences=parts.preferences.all(caller.tenant, recipient_id, actor=caller.actor))


@router.put("", summary="Store a preference", responses=problems(404, 409, 412))
@never_limited
def put_preference(
    caller: Writer,
    recipient_id: RecipientId,
    body: Annotated[Preference, body_of(Preference)],
    parts: PartsOf,
    response: Response,
    signal: SignalOf,
    if_match: IfMatch = None,
) -> StoredPreference:
    """Store the preference for its scope, whole, in place of the one there is for that scope.

    A preference never stands for consent: what it enables still needs whatever consent the message's class needs.
    """
    seen = int(if_match.strip('"')) if if_match is not None else None
    try:
        stored = parts.preferences.put(caller.tenant, recipient_id, body, actor=caller.actor, if_version=seen)
    except (NotAllowed, RecipientGone, VersionConflict) as error:
        raise _refused(error) from None
    signal.heed(caller, recipient_id)
    return _tagged(stored, response)


@router.get("/resolved", summary="Ask which preference wins", responses=problems(422))
def get_resolved(
    caller: Reader,
    recipient_id: RecipientId,
    parts: PartsOf,
    message_type: Annotated[Name, Query(alias="type", description="A published message type.")],
    channel: Channel,
    at: Annotated[Moment | None, Query(description="Absent: now.")] = None,
) -> Resolved:
    """Return what holds for one message on one channel, and for each part of it the rule that won and those it beat.

    Consent is not part of it; quiet hours neither.
    """
    asked = preference_lookup.Question(message_type, channel, at if at is not None else parts.clock.now(caller.tenant))
    try:
        return preference_lookup.resolved(parts, caller.tenant, recipient_id, asked, actor=caller.actor)
    except UnknownType:
        problem = FieldError(field="type", expected="a published message type")
        raise Refused(UNKNOWN_TYPE, "No message type of this name is published.", errors=[problem]) from None


@router.get("/{preference_id}", summary="Read one preference", responses=problems(404))
@conditional
def get_preference(
    caller: Reader, recipient_id: RecipientId, preference_id: PreferenceId, parts: PartsOf, response: Response
) -> StoredPreference:
    """Return the preference in its version, which is the `ETag` too."""
    try:
        stored = parts.preferences.get(caller.tenant, recipient_id, preference_id, actor=caller.actor)
    except UnknownPreference as error:
        raise _refused(error) from None
    return _tagged(stored, response)


@router.get("/{preference_id}/history", summary="Read every version of a preference", responses=problems(404))
def get_history(
    caller: Reader, recipient_id: RecipientId, preference_id: PreferenceId, parts: PartsOf
) -> PreferenceHistory:
    """Return the versions, oldest first, with who made them; a deletion is one of them."""
    try:
        versions = parts.preferences.history(caller.tenant, recipient_id, preference_id, actor=caller.actor)
    except UnknownPreference as error:
        raise _refused(error) from None
    return PreferenceHistory(versions=versions)


@router.delete("/{preference_id}", status_code=204, summary="Delete a preference", responses=problems(404, 412))
def delete_preference(
    caller: Writer,
    recipient_id: RecipientId,
    preference_id: PreferenceId,
    parts: PartsOf,
    signal: SignalOf,
    if_match: IfMatch = None,
) -> None:
    """Say nothing any more for this scope; what is less specific then holds. The versions stay."""
    now = parts.clock.now(caller.tenant)
    seen = int(if_match.strip('"')) if if_match is not None else None
    try:
        parts.preferences.delete(
            caller.tenant, recipient_id, preference_id, actor=caller.actor, now=now, if_version=seen
        )
    except (UnknownPreference, VersionConflict) as error:
        raise _refused(error) from None
    signal.heed(caller, recipient_id)


def _tagged(stored: StoredPreference, response: Response) -> StoredPreference:
    response.headers["ETag"] = f'"{stored.version}"'
    return stored


def _refused(error: UnknownPreference | VersionConflict | NotAllowed | RecipientGone) -> Refused:
    if isinstance(error, VersionConflict):
        problem = FieldError(field="If-Match", expected="the preference's present ETag")
        return Refused(VERSION_CONFLICT, "The preference has changed since you read it.", errors=[problem])
    if isinstance(error, NotAllowed):
        found = [FieldError(field=each.field, expected=each.expected) for each in error.findings]
        return Refused(NOT_ALLOWED, "The tenant's policy does not allow this preference.", errors=found)
    if isinstance(error, RecipientGone):
        return Refused(ProblemCode.NOT_FOUND, "This recipient was deleted.")
    return Refused(ProblemCode.NOT_FOUND, "There is no such preference.")
