"""``/v1/admin/keys`` and ``/v1/admin/roles``: who may use this tenant's API, and for what.

A key is shown once, by the request that makes it. What is changed here holds from the next request on and is in the
audit trail.
"""

from datetime import timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints, model_validator

from adapters.postgres.api_keys import KeyEntry
from domain.permissions import Permission
from domain.roles import PERMISSIONS, Role
from domain.values import Frozen, Moment
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/admin", tags=["administration"])
Reader = Annotated[Caller, permission("keys:read")]
Writer = Annotated[Caller, permission("keys:write")]
Prefix = Annotated[
    str, Path(pattern=r"^[a-z0-9]{12}$", description="The part of a key between `kai_` and the next underscore.")
]
DAY_SECONDS = 86_400
LONGEST_OVERLAP_SECONDS = 30 * DAY_SECONDS
_PLATFORM = PERMISSIONS[Role.PLATFORM_ADMIN]
_NOT_GIVEN_HERE = frozenset({Permission.EVERYTHING, *_PLATFORM})


class NewKey(Frozen):
    """What a key is for; it may do what its roles and its single permissions allow together."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    roles: tuple[Role, ...] = ()
    scopes: tuple[Permission, ...] = ()
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _may_do_something_here(self) -> Self:
        if not self.roles and not self.scopes:
            raise ValueError("must have at least one role or scope")
        if Role.PLATFORM_ADMIN in self.roles or _NOT_GIVEN_HERE.intersection(self.scopes):
            raise ValueError("must name its roles and scopes, and none that reaches beyond this tenant")
        return self


class Rotation(Frozen):
    """How long the old key still works."""

    overlap_seconds: int = Field(DAY_SECONDS, ge=0, le=LONGEST_OVERLAP_SECONDS)


class IssuedKey(Frozen):
    """A new key, shown only now."""

    key: str
    prefix: str


class Keys(Frozen):
    """Every key of the tenant, revoked ones too, oldest first."""

    keys: list[KeyEntry]


class RoleEntry(Frozen):
    """A role with its permissions."""

    role: Role
    permissions: list[Permission]


class Roles(Frozen):
    """Every role."""

    roles: list[RoleEntry]


@router.get("/roles", summary="List the roles")
def get_roles(caller: Reader) -> Roles:  # noqa: ARG001 - its name is what limits the route
    """Return every role with what it may do; the list is fixed, a role is given to a key."""
    return Roles(roles=[RoleEntry(role=role, permissions=sorted(held)) for role, held in PERMISSIONS.items()])


@router.get("/keys", summary="List the keys")
def get_keys(caller: Reader, parts: PartsOf) -> Keys:
    """Return every key by its prefix, never the key."""
    return Keys(keys=parts.api_keys.all(caller.tenant.tenant))


@router.post("/keys", status_code=201, summary="Issue a key")
def post_key(caller: Writer, body: Annotated[NewKey, body_of(NewKey)], parts: PartsOf) -> IssuedKey:
    """Issue a key of this tenant with the least it needs; it is shown only in this answer.

    `*` and what reaches beyond one tenant are not given here: the installation's owner does that.
    """
    if body.expires_at is not None and body.expires_at <= parts.clock.real():
        problem = FieldError(field="expires_at", expected="a moment that lies in the future")
        raise Refused(ProblemCode.INVALID, "A key that has expired cannot be issued.", errors=[problem])
    key = parts.api_keys.issue(
        caller.tenant.tenant,
        name=body.name,
        scopes=[scope.value for scope in body.scopes],
        roles=[role.value for role in body.roles],
        expires_at=body.expires_at,
        actor=caller.actor,
    )
    return _issued(key)


@router.post("/keys/{prefix}/rotate", status_code=201, summary="Replace a key", responses=problems(404))
def rotate_key(
    caller: Writer, prefix: Prefix, body: Annotated[Rotation, body_of(Rotation)], parts: PartsOf
) -> IssuedKey:
    """Issue a successor that may do the same; the old key works on for `overlap_seconds`, a day unless you say else."""
    overlap = timedelta(seconds=body.overlap_seconds)
    key = parts.api_keys.rotate(
        caller.tenant.tenant, prefix, overlap=overlap, at=parts.clock.real(), actor=caller.actor
    )
    if key is None:
        raise _unknown()
    return _issued(key)


@router.delete("/keys/{prefix}", status_code=204, summary="Revoke a key", responses=problems(404))
def revoke_key(caller: Writer, prefix: Prefix, parts: PartsOf) -> None:
    """Revoke a key; from this answer on it is refused everywhere."""
    if not parts.api_keys.revoke(caller.tenant.tenant, prefix, at=parts.clock.real(), actor=caller.actor):
        raise _unknown()


def _issued(key: str) -> IssuedKey:
    return IssuedKey(key=key, prefix=key.split("_")[1])


def _unknown() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "This tenant has no such key in force.")
