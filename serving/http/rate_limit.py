"""Rate limits of the API: checked after the credential and before the body, for every route but those that opt out.

Counters that are away let requests pass, and are counted: what must fail closed is consent, and it does.
"""

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import Request

from adapters.redis.rate_limits import CountersAway
from serving import metrics
from serving.at_once import TooManyAtOnce
from serving.http.auth import Caller, PartsOf
from serving.http.errors import Refused
from serving.http.problem_codes import declared
from serving.parts import Parts

TOO_MANY = declared(
    "request.too_many", 429, "More requests in a minute than the limit; see Retry-After.", is_retryable=True
)

TOO_MANY_AT_ONCE = declared(
    "request.too_many_at_once",
    429,
    "As many requests of the tenant as may are waiting for the same system outside; see Retry-After.",
    is_retryable=True,
)


def never_limited(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Declare that a route lets people opt out, which no limit may delay."""
    endpoint.is_never_limited = True  # type: ignore[attr-defined]
    return endpoint


class RateLimited:
    """A dependency of a route that counts its caller; ``annotation`` is how the route's handler asks for the caller."""

    def __init__(self, annotation: Any) -> None:
        given = inspect.signature(self.__call__)
        caller = given.parameters["caller"].replace(annotation=annotation)
        self.__signature__ = given.replace(parameters=[*list(given.parameters.values())[:-1], caller])

    def __call__(self, request: Request, parts: PartsOf, caller: Any) -> None:
        """Let the request pass.

        Raises:
            Refused: 429, with the seconds to wait.
        """
        _check(parts, caller, f"{request.method} {request.scope['route'].path}")


def _check(parts: Parts, caller: Caller, route: str) -> None:
    try:
        too_many = parts.rate_limits.check(caller.tenant.tenant, caller.actor, route)
    except CountersAway:
        metrics.UNLIMITED.inc()
        return
    if too_many is not None:
        metrics.LIMITED.labels(caller.tenant.tenant, too_many.level).inc()
        headers = {"Retry-After": str(too_many.retry_after)}
        raise Refused(TOO_MANY, f"Too many requests in a minute for this {too_many.level}.", headers=headers)


def too_many_at_once(error: TooManyAtOnce) -> Refused:
    """Return the refusal for who would be one more to wait for somebody outside."""
    return Refused(TOO_MANY_AT_ONCE, f"It was not asked: {error}.", headers={"Retry-After": "1"})
