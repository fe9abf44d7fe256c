"""Who asks: an API key names the tenant, and every route declares what a key must be allowed to do.

The tenant comes from the credential and from nowhere else. An application with a route that declares nothing does
not start.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from adapters.postgres.api_keys import Credential
from adapters.postgres.tenants import UnknownTenant
from domain.permissions import Permission
from domain.tenants import Tenant
from serving.http.errors import ProblemCode, Refused
from serving.parts import Parts

_BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="Authorization: Bearer kai_...")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="api_key", description="X-API-Key: kai_...")


class UndeclaredRoute(RuntimeError):
    """A route does not say who may use it."""


@dataclass(frozen=True)
class Caller:
    """Who asks, for which tenant, as the tenant is now."""

    tenant: Tenant
    credential: Credential

    @property
    def actor(self) -> str:
        """The caller's name in audit and consent records."""
        return f"key:{self.credential.prefix}"


def parts(request: Request) -> Parts:
    """Return the parts of the service."""
    built: Parts = request.app.state.parts
    return built


PartsOf = Annotated[Parts, Depends(parts)]


class Required:
    """A dependency that lets a key with the permission pass and returns its caller."""

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
            Refused: 401 without one valid key, 403 when the key may not do this.
        """
        given = [key for key in (bearer and bearer.credentials, header) if key]
        credential = parts.api_keys.find(given[0], now=parts.clock.real()) if len(given) == 1 else None
        if credential is None:
            raise _unauthenticated()
        request.state.tenant = credential.tenant
        if not self.permission.is_granted_by(credential.scopes):
            raise Refused(ProblemCode.FORBIDDEN, f"This key lacks the permission {self.permission}.")
        try:
            return Caller(parts.tenants.get(credential.tenant), credential)
        except UnknownTenant:
            raise _unauthenticated() from None


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
    detail = "One valid API key is needed, as Authorization: Bearer or X-API-Key."
    return Refused(ProblemCode.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": 'Bearer realm="kairos"'})
