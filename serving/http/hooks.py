"""``/v1/admin/hooks``: where a tenant wants to be told of changes and decisions, and how the telling went.

A secret is shown once, by the request that makes it; docs/webhooks.md says how a receiver verifies with it.
"""

from datetime import datetime, timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints, model_validator

from adapters.postgres.hook_deliveries import Delivery, UnknownDelivery
from adapters.postgres.hooks import Hook, TooManyHooks, UnknownHook
from domain import outside
from domain.outside import MAX_URL, Forbidden
from domain.values import Frozen
from domain.webhooks import DeliveryState, HookEvent
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/admin/hooks", tags=["hooks"])
TOO_MANY = declared("hook.too_many", 409, "The tenant has as many hooks as it may; delete one first.")
Reader = Annotated[Caller, permission("hooks:read")]
Writer = Annotated[Caller, permission("hooks:write")]
HookId = Annotated[str, Path(pattern=r"^hook_[0-9a-f]{20}$")]
DeliveryId = Annotated[str, Path(pattern=r"^msg_[0-9a-f]{32}$")]
Url = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]
Events = Annotated[tuple[HookEvent, ...], Field(min_length=1, max_length=len(HookEvent))]
Description = Annotated[str, StringConstraints(max_length=200)]
DAY_SECONDS = 86_400
LONGEST_OVERLAP_SECONDS = 30 * DAY_SECONDS


class NewHook(Frozen):
    """Where to tell, and of what."""

    url: Url = Field(description="https, at a public host; without user name or fragment.")
    events: Events
    description: Description = ""


class HookChange(Frozen):
    """What to change; what is absent stays."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    is_enabled: bool | None = Field(default=None, description="True forgets past failures: what waits is sent at once.")

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("must change something")
        return self


class SecretRotation(Frozen):
    """How long the old secret still signs beside the new one."""

    overlap_seconds: int = Field(DAY_SECONDS, ge=0, le=LONGEST_OVERLAP_SECONDS)


class MadeHook(Frozen):
    """A hook and its new secret, shown only now."""

    hook: Hook
    secret: str


class HookList(Frozen):
    """Every hook of the tenant, oldest first."""

    hooks: list[Hook]


class LeftMessage(Frozen):
    """A message that will be sent now."""

    delivery_id: str


class DeliveryList(Frozen):
    """Messages of a hook, newest first."""

    deliveries: list[Delivery]
    next_cursor: NextCursor


@router.post("", status_code=201, summary="Create a hook", responses=problems(409))
def post_hook(caller: Writer, body: Annotated[NewHook, body_of(NewHook)], parts: PartsOf) -> MadeHook:
    """Tell this URL of every such event from now on, signed with the secret in this answer."""
    _check(parts, body.url)
    try:
        hook, secret = parts.hooks.create(caller.tenant, **dict(body), actor=caller.actor)
    except TooManyHooks as error:
        raise Refused(TOO_MANY, f"There is no room for another hook: {error}.") from None
    return MadeHook(hook=hook, secret=secret)


@router.get("", summary="List the hooks")
def get_hooks(caller: Reader, parts: PartsOf) -> HookList:
    """Return every hook, never its secret."""
    return HookList(hooks=parts.hooks.all(caller.tenant))


@router.get("/{hook_id}", summary="Read a hook", responses=problems(404))
def get_hook(caller: Reader, hook_id: HookId, parts: PartsOf) -> Hook:
    """Return a hook, never its secret."""
    try:
        return parts.hooks.get(caller.tenant, hook_id)
    except UnknownHook:
        raise _unknown() from None


@router.patch("/{hook_id}", summary="Change a hook", responses=problems(404))
def patch_hook(
    caller: Writer, hook_id: HookId, body: Annotated[HookChange, body_of(HookChange)], parts: PartsOf
) -> Hook:
    """Change where or of what it is told, or switch it off and on; what waits goes to where it leads then."""
    if body.url is not None:
        _check(parts, body.url)
    try:
        return parts.hooks.change(caller.tenant, hook_id, body.model_dump(exclude_none=True), actor=caller.actor)
    except UnknownHook:
        raise _unknown() from None


@router.delete("/{hook_id}", status_code=204, summary="Delete a hook", responses=problems(404))
def delete_hook(caller: Writer, hook_id: HookId, parts: PartsOf) -> None:
    """Forget a hook with everything that waits for it and its log."""
    try:
        parts.hooks.delete(caller.tenant, hook_id, actor=caller.actor)
    except UnknownHook:
        raise _unknown() from None


@router.post("/{hook_id}/rotate", status_code=201, summary="Replace a hook's secret", responses=problems(404))
def rotate_hook(
    caller: Writer, hook_id: HookId, body: Annotated[SecretRotation, body_of(SecretRotation)], parts: PartsOf
) -> MadeHook:
    """Make a new secret; messages are signed with both until the overlap ends, so that none is refused meanwhile."""
    overlap = timedelta(seconds=body.overlap_seconds)
    try:
        hook, secret = parts.hooks.rotate(caller.tenant, hook_id, overlap=overlap, actor=caller.actor)
    except UnknownHook:
        raise _unknown() from None
    return MadeHook(hook=hook, secret=secret)


@router.post("/{hook_id}/test", status_code=202, summary="Send a hook a test message", responses=problems(404))
def test_hook(caller: Writer, hook_id: HookId, parts: PartsOf) -> LeftMessage:
    """Leave a message of type `test`; the list of deliveries says how it went."""
    try:
        return LeftMessage(delivery_id=parts.hooks.test(caller.tenant, hook_id, actor=caller.actor))
    except UnknownHook:
        raise _unknown() from None


@router.get("/{hook_id}/deliveries", summary="List a hook's deliveries", responses=problems(404))
def get_deliveries(
    caller: Reader,
    hook_id: HookId,
    parts: PartsOf,
    page: PageOf,
    state: DeliveryState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> DeliveryList:
    """Return messages with every attempt, newest first, without what they say. Delivered ones are kept for 7 days."""
    try:
        parts.hooks.get(caller.tenant, hook_id)
    except UnknownHook:
        raise _unknown() from None
    before = page.place(caller, tuple[datetime, str])
    found = parts.hook_deliveries.listed(caller.tenant, hook_id, state=state, before=before, limit=limit)
    following = page.following(caller, found, limit, lambda each: (each.recorded_at, each.delivery_id))
    return DeliveryList(deliveries=found, next_cursor=following)


@router.post(
    "/{hook_id}/deliveries/{delivery_id}/retry",
    status_code=202,
    summary="Send a message to a hook again",
    responses=problems(404),
)
def retry_delivery(caller: Writer, hook_id: HookId, delivery_id: DeliveryId, parts: PartsOf) -> LeftMessage:
    """Send a message again now, one that is dead or was delivered too; its id stays, so receivers can tell."""
    now = parts.clock.real()
    try:
        parts.hook_deliveries.retry(caller.tenant, hook_id, delivery_id, actor=caller.actor, now=now)
    except UnknownDelivery:
        raise Refused(ProblemCode.NOT_FOUND, "This hook has no such message.") from None
    return LeftMessage(delivery_id=delivery_id)


def _check(parts: PartsOf, url: str) -> None:
    try:
        outside.parse(url, allow_loopback=parts.settings.egress_allow_loopback)
    except Forbidden as error:
        problem = FieldError(field="url", expected=str(error))
        raise Refused(ProblemCode.INVALID, "Nothing is sent to such a URL.", errors=[problem]) from None


def _unknown() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "This tenant has no such hook.")
