"""By which way a request came, for the audit rows it leaves: its id, and keyed hashes of address and user agent.

The hashes tell whether two actions came from one place; nobody can read an address from them.
"""

import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.postgres import audit
from serving.parts import Parts

_HASH_DIGITS = 32


class Arrival:
    """ASGI middleware inside the one that gives each request its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; whatever it writes to the trail says how it came."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts: Parts = scope["app"].state.parts
        client = scope.get("client")
        given = {
            "address_hash": client[0] if client else None,
            "user_agent_hash": Headers(scope=scope).get("user-agent"),
        }
        hashes = {name: _hash(parts.arrival_key, text) for name, text in given.items() if text}
        with audit.arriving(interface="api", request_id=scope["state"]["request_id"], **hashes):
            await self._app(scope, receive, send)


def _hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()[:_HASH_DIGITS]
