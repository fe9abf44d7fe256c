"""``/v1/recipients/{id}/profile``: what is known about a recipient, in versions; every read and change is audited."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from adapters.postgres.profiles import PastProfile, StoredProfile, UnknownRecipient, VersionConflict
from domain.attribute_schemas import AttributesRefused
from domain.profiles import Profile, ProfilePatch
from domain.values import Frozen
from serving import new_recipients
from serving.http.afterwards import afterwards
from serving.http.attribute_schema import refused_attributes
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.cursors import NextCursor, PageOf
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.opt_out_signal import SignalOf
from serving.http.problem_codes import declared
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.parts import Parts

router = APIRouter(route_class=Route, prefix=PREFIX + "/profile", tags=["recipients"])
VERSION_CONFLICT = declared("profile.version_conflict", 412, "The profile has changed since the version you saw.")
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", pattern=r'^"\d{1,9}"$', description="The ETag you saw; another version is not changed."),
]
Reader = Annotated[Caller, permission("profiles:read")]
Writer = Annotated[Caller, permission("profiles:write")]


@router.get("", summary="Read a profile", responses=problems(404))
@conditional
def get_profile(caller: Reader, recipient_id: RecipientId, parts: PartsOf, response: Response) -> StoredProfile:
    """Return the profile in its version, which is the `ETag` too."""
    try:
        return _tagged(parts.profiles.get(caller.tenant, recipient_id, actor=caller.actor), response)
    except UnknownRecipient as error:
        raise _refused(error) from None


class ProfileHistory(Frozen):
    """Versions of a profile, newest first."""

    versions: tuple[PastProfile, ...]
    next_cursor: NextCursor


@router.get("/history", summary="Read the versions of a profile", responses=problems(404))
def get_profile_history(
    caller: Reader,
    recipient_id: RecipientId,
    parts: PartsOf,
    page: PageOf,
    before: Annotated[int | None, Query(ge=1, lt=2**31, description="Only versions older than that one.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ProfileHistory:
    """Return every version with who wrote it and when, newest first."""
    # Of the two the place is the older version: the list it continues began below ``before``.
    older = page.place(caller, int) or before
    try:
        found = parts.profiles.history(caller.tenant, recipient_id, actor=caller.actor, before=older, limit=limit)
    except UnknownRecipient as error:
        raise _refused(error) from None
    following = page.following(caller, found, limit, lambda each: each.version)
    return ProfileHistory(versions=tuple(found), next_cursor=following)


@router.put("", summary="Create or replace a profile", responses=problems(404, 412))
def put_profile(
    caller: Writer,
    recipient_id: RecipientId,
    body: Annotated[Profile, body_of(Profile)],
    parts: PartsOf,
    response: Response,
    signal: SignalOf,
    if_match: IfMatch = None,
) -> StoredProfile:
    """Replace the whole profile; what the body leaves out is forgotten. A deleted recipient stays deleted."""
    try:
        stored = new_recipients.put_profile(
            parts, caller.tenant, recipient_id, body, actor=caller.actor, if_version=_version(if_match)
        )
    except AttributesRefused as error:
        raise refused_attributes(error) from None
    except (UnknownRecipient, VersionConflict) as error:
        raise _refused(error) from None
    signal.heed(caller, recipient_id)
    _tell(parts, caller, recipient_id, stored)
    return _tagged(stored, response)


@router.patch("", summary="Change parts of a profile", responses=problems(404, 412))
def patch_profile(
    caller: Writer,
    recipient_id: RecipientId,
    body: Annotated[ProfilePatch, body_of(ProfilePatch)],
    parts: PartsOf,
    response: Response,
    signal: SignalOf,
    if_match: IfMatch = None,
) -> StoredProfile:
    """Change what the body names: null removes, `channels` and `attributes` are merged by key.

    A time zone from a weaker source than the one that is known (declared, device, phone_country, network) is not
    taken; the answer shows the one that holds.
    """
    try:
        stored = parts.profiles.patch(
            caller.tenant, recipient_id, body, actor=caller.actor, if_version=_version(if_match)
        )
    except AttributesRefused as error:
        raise refused_attributes(error) from None
    except (UnknownRecipient, VersionConflict, ValueError) as error:
        raise _refused(error) from None
    signal.heed(caller, recipient_id)
    _tell(parts, caller, recipient_id, stored)
    return _tagged(stored, response)


@router.delete("", status_code=204, summary="Delete a recipient's profile", responses=problems(404))
def delete_profile(caller: Writer, recipient_id: RecipientId, parts: PartsOf) -> None:
    """Forget the profile, if there is one, and refuse every later message to the recipient, for good."""
    try:
        parts.profiles.delete(caller.tenant, recipient_id, actor=caller.actor, now=parts.clock.now(caller.tenant))
    except UnknownRecipient as error:
        raise _refused(error) from None


def _version(if_match: str | None) -> int | None:
    return int(if_match.strip('"')) if if_match is not None else None


def _tagged(stored: StoredProfile, response: Response) -> StoredProfile:
    response.headers["ETag"] = f'"{stored.version}"'
    return stored


def _refused(error: UnknownRecipient | VersionConflict | ValueError) -> Refused:
    if isinstance(error, UnknownRecipient):
        return Refused(ProblemCode.NOT_FOUND, "There is no profile of this recipient.")
    if isinstance(error, VersionConflict):
        problem = FieldError(field="If-Match", expected="the profile's present ETag")
        return Refused(VERSION_CONFLICT, "The profile has changed since you read it.", errors=[problem])
    problem = FieldError(field="attributes", expected="a profile of at most 64 attributes after the change")
    return Refused(ProblemCode.INVALID, "The change would not leave a valid profile.", errors=[problem])


def _tell(parts: Parts, caller: Caller, recipient_id: str, stored: StoredProfile) -> None:
    """Tell hooks of this process, once the change is committed."""
    told = {"tenant": caller.tenant.tenant, "recipient_id": recipient_id, "version": stored.version}
    afterwards(lambda: parts.local_hooks.tell("profile_updated", told))
