"""Who asks: a key or a signed token names the tenant, and every route declares what either must be allowed to do.

The tenant comes from the credential and from nowhere else. An application with a route that declares nothing does
not start. A token may stand for a recipient; they reach addresses with their own id in them, and routes that are marked
``own_part``, whose handlers ask for what belongs to ``caller.subject_key``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from adapters.postgres.tenants import UnknownTenant
from domain.identity import subject_key
from domain.permissions import Permission
from domain.tenants import Tenant
from domain.tokens import TokenBearer, TokenRefused
from serving import metrics
from serving.http.errors import ProblemCode, Refused
from serving.http.problem_codes import declared
from serving.parts import Parts

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="Authorization: Bearer, and a key or a token of an issuer that the tenant takes.",
)
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="api_key", description="X-API-Key: kai_...")
_KEY = "kai_"
_LOOKS_SECRET = re.compile(r"kai_[a-z0-9]{12}_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NAMES_SECRET = frozenset({"api_key", "apikey", "api-key", "x-api-key", "access_token", "authorization", "bearer"})
IN_ADDRESS = declared(
    "auth.credential_in_address", 400, "A credential is in the query string, where logs and histories keep it."
)


class UndeclaredRoute(RuntimeError):
    """A route does not say who may use it."""


@dataclass(frozen=True)
class Caller:
    """Who asks, for which tenant, as the tenant is now."""

    tenant: Tenant
    scopes: tuple[str, ...]
    actor: str
    """The caller's name in audit and consent records; of a recipient, the pseudonym."""
    recipient_id: str | None = None
    """Set when the caller is a recipient, who reaches nothing but their own data."""

    @property
    def subject_key(self) -> str | None:
        """The pseudonym that everything the caller reaches must have, None when they are not held to one."""
        return subject_key(self.tenant.subject_secret, self.recipient_id) if self.recipient_id is not None else None


def parts(request: Request) -> Parts:
    """Return the parts of the service."""
    built: Parts = request.app.state.parts
    return built


PartsOf = Annotated[Parts, Depends(parts)]


class Required:
    """A dependency that lets a credential with the permission pass and returns its caller."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(
        self,
        request: Request,
        parts: PartsOf,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        header: Annotated[str | None, Depends(_HEADER)],
    ) -> Caller:
        """Return who asks.

        Raises:
            Refused: 401 without one valid credential, 400 with one in the address too, 403 when it may not do this,
                404 for what is another recipient's.
        """
        given = [each for each in (bearer and bearer.credentials, header) if each]
        if len(given) != 1:
            raise _unauthenticated()
        if any(_is_credential(name, value) for name, value in request.query_params.multi_items()):
            raise Refused(IN_ADDRESS, "A credential belongs in a header; this one is in the address, so replace it.")
        is_token = header is None and not given[0].startswith(_KEY)
        find = partial(_by_token if is_token else _by_key, given[0], parts)
        may_be_remembered = getattr(request.scope["route"].endpoint, "answers_without_store", False)
        caller: Caller = parts.remembered.find(given[0], find) if may_be_remembered and not is_token else find()
        request.state.tenant = caller.tenant.tenant
        if not self.permission.is_granted_by(caller.scopes):
            raise Refused(ProblemCode.FORBIDDEN, f"This credential lacks the permission {self.permission}.")
        if caller.recipient_id is not None:
            _hold_to_oneself(request, caller.recipient_id)
        return caller


def _is_credential(name: str, value: str) -> bool:
    return name.lower() in _NAMES_SECRET or _LOOKS_SECRET.search(value) is not None


def _by_key(key: str, parts: Parts) -> Caller:
    credential = parts.api_keys.find(key, now=parts.clock.real())
    if credential is None:
        raise _unauthenticated()
    return Caller(_tenant(credential.tenant, parts), credential.scopes, credential.actor)


def _by_token(token: str, parts: Parts) -> Caller:
    now = parts.clock.real()
    try:
        bearer = parts.bearer_tokens.check(token, now=now)
    except TokenRefused as refused:
        metrics.TOKENS_REFUSED.labels(refused.refusal.value).inc()
        if refused.issuer is not None:
            parts.token_trail.note_refusal(refused.issuer, refused.refusal, now=now)
        raise _unauthenticated() from None
    caller = _bearing(bearer, _tenant(bearer.tenant, parts))
    parts.token_trail.note_use(token, bearer, actor=caller.actor, subject=caller.subject_key)
    return caller


def _bearing(bearer: TokenBearer, tenant: Tenant) -> Caller:
    if bearer.recipient_id is None:
        return Caller(tenant, bearer.scopes, f"user:{bearer.issuer}:{bearer.subject}")
    actor = f"recipient:{subject_key(tenant.subject_secret, bearer.recipient_id)}"
    return Caller(tenant, bearer.scopes, actor, bearer.recipient_id)


def _tenant(name: str, parts: Parts) -> Tenant:
    try:
        return parts.tenants.get(name)
    except UnknownTenant:
        raise _unauthenticated() from None


def _hold_to_oneself(request: Request, recipient_id: str) -> None:
    named = request.path_params.get("recipient_id")
    if named is None and not is_own_part(request.scope["route"].endpoint):
        raise Refused(ProblemCode.FORBIDDEN, "Recipients reach their own data only.")
    if named is not None and named != recipient_id:
        # As one that does not exist: who is known here is nobody's to find out.
        raise Refused(ProblemCode.NOT_FOUND, "There is nothing at this address.")


def answers_without_store(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Declare that a route answers while PostgreSQL is away, so that its callers with a key are remembered."""
    endpoint.answers_without_store = True  # type: ignore[attr-defined]
    return endpoint


def own_part(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Declare that a route without a recipient in its address shows recipients what is theirs and nothing else."""
    endpoint.is_own_part = True  # type: ignore[attr-defined]
    return endpoint


def is_own_part(endpoint: Callable[..., Any] | None) -> bool:
    """Return whether a route was declared so."""
    return getattr(endpoint, "is_own_part", False)


def permission(name: str) -> Any:
    """Declare what a key must be allowed to do; a name that is no permission stops the start.

    Use it as ``caller: Annotated[Caller, permission("events:write")]``, first among a handler's arguments, so that
    nothing is read for a caller who may not ask.
    """
    return Depends(Required(Permission(name)))


def public() -> None:
    """Declare that a route needs no credential: ``dependencies=[Depends(public)]``."""


def refuse_undeclared(app: FastAPI) -> None:
    """Stop the start when a route declares neither a permission nor that it is public.

    Raises:
        UndeclaredRoute: with the paths.
    """
    paths = [
        str(context.path)
        for context in iter_route_contexts(app.routes)
        if not any(isinstance(call, Required) or call is public for call in dependencies(context))
    ]
    if paths:
        raise UndeclaredRoute(f"routes without a declared permission: {', '.join(sorted(paths))}")


def dependencies(route: Any) -> Iterator[Any]:
    """Yield every callable a route depends on."""
    waiting: list[Dependant] = [route.dependant] if getattr(route, "dependant", None) is not None else []
    while waiting:
        dependant = waiting.pop()
        waiting.extend(dependant.dependencies)
        yield dependant.call


def _unauthenticated() -> Refused:
    detail = "One valid credential is needed, as Authorization: Bearer or X-API-Key."
    return Refused(ProblemCode.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": 'Bearer realm="kairos"'})
