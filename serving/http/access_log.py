"""The outermost layer: gives each request an id, logs one line about it, counts it, and answers if all else fails.

The line holds the route's template instead of the path, and no header, query or body: nothing personal.
"""

import re
import secrets
import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import metrics
from serving.http.errors import failed
from serving.http.problem_codes import ProblemCode
from serving.logs import places

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_DEFAULTS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
_ENCRYPTED = {"strict-transport-security": "max-age=31536000"}
"""Said over TLS only: browsers then never ask this name in plain again."""
log = structlog.get_logger("kairos.http")


class AccessLog:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and log how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last resort: an answer without internals, a line with the place
            log.error(  # noqa: TRY400 - the exception's text may quote somebody's data
                "request.failed", request_id=exchange.id, error=type(error).__name__, where=places(error.__traceback__)
            )
            scope["state"]["problem"] = ProblemCode.FAILED
            if not exchange.status:
                await failed(exchange.id)(scope, receive, exchange.send)
        finally:
            exchange.finish()


class _Exchange:
    """One request and what is known of its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self.id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        self.status = 0
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_more_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._began = time.perf_counter()
        scope.setdefault("state", {})["request_id"] = self.id

    async def receive(self) -> Message:
        """Pass on a part of the request, noting whether more will come."""
        message = await self._receive()
        self._has_more_body = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.id
            if self._has_more_body:
                # Otherwise the server would go on reading, and throwing away, whatever the sender still has.
                headers["connection"] = "close"
            for name, value in {**_DEFAULTS, **(_ENCRYPTED if self._scope["scheme"] == "https" else {})}.items():
                headers.setdefault(name, value)
        await self._send(message)

    def finish(self) -> None:
        """Log and count the request."""
        seconds = time.perf_counter() - self._began
        method, route = self._scope["method"], _template(self._scope)
        metrics.REQUESTS.labels(method if method in _METHODS else "other", route, self.status).inc()
        metrics.SECONDS.labels(method if method in _METHODS else "other", route).observe(seconds)
        state: dict[str, Any] = self._scope["state"]
        extra = {name: state[name] for name in ("tenant", "decision_id", "problem") if name in state}
        log.info(
            "request.answered",
            request_id=self.id,
            method=method if method in _METHODS else "other",
            route=route,
            status=self.status,
            ms=round(1000 * seconds, 2),
            **extra,
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _template(scope: Scope) -> str:
    """Return the route's template, which names no one; a path may hold anybody's id."""
    return str(getattr(scope.get("route"), "path", "none"))
