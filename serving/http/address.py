"""Addresses that name nothing for certain: refused at the edge, before anybody looks for what they might mean.

A server that reads bytes which are no UTF-8 as replacement characters takes two different ids for one. A control
character, such as the end of a line, makes the router see no address at all.
"""

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.errors import FieldError, ProblemCode, Refused, respond

_CONTROLS = frozenset({*range(0x20), 0x7F})
_UTF_8 = FieldError(field="", expected="an address that is UTF-8, percent-encoded")
_PRINTABLE = FieldError(field="", expected="a path without control characters")


class PlainAddress:
    """ASGI middleware that answers 400 to a path or query that is no UTF-8, and to control characters in a path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what can be read."""
        fault = _fault(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        scope["state"]["problem"] = ProblemCode.MALFORMED
        refused = Refused(
            ProblemCode.MALFORMED, f"This address cannot be read: expected {fault.expected}.", errors=[fault]
        )
        await respond(refused, scope["state"]["request_id"])(scope, receive, send)


def _fault(scope: Scope) -> FieldError | None:
    raw = scope.get("raw_path") or scope["path"].encode()
    path, query = unquote_to_bytes(raw), unquote_to_bytes(scope["query_string"])
    try:
        path.decode(), query.decode()
    except UnicodeDecodeError:
        return _UTF_8
    return _PRINTABLE if any(byte in _CONTROLS for byte in path) else None
