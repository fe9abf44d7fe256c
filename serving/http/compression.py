"""Answers made smaller: brotli or gzip, whichever the client likes better, by the weights of ``Accept-Encoding``.

What is small stays as it is, and so does ``text/event-stream``: events would wait in the compressor.
"""

import anyio.to_thread
import brotli
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipResponder, IdentityResponder
from starlette.types import ASGIApp, Receive, Scope, Send

LEAST_BYTES = 1024
_OFFERED = ("br", "gzip")
"""In our order, which decides between equal weights; no encoding at all is last."""
_BROTLI_QUALITY = 4
"""Of 0 to 11: about gzip's time for a smaller answer; the highest take seconds for a megabyte."""
_LARGE_BYTES = 128 * 1024


class Compression:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; its answer is compressed as the client asked for."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Several headers of one name are one list.
        encoding = chosen(", ".join(Headers(scope=scope).getlist("accept-encoding")))
        responder: IdentityResponder
        if encoding == "br":
            responder = _BrotliResponder(self._app, LEAST_BYTES)
        elif encoding == "gzip":
            responder = GZipResponder(self._app, LEAST_BYTES)
        else:
            responder = IdentityResponder(self._app, LEAST_BYTES)
        await responder(scope, receive, send)


class _BrotliResponder(IdentityResponder):
    content_encoding = "br"

    def __init__(self, app: ASGIApp, minimum_size: int) -> None:
        super().__init__(app, minimum_size)
        self._compressor: brotli.Compressor | None = None

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        if len(body) >= _LARGE_BYTES:
            # Compressing it here would hold up every other request.
            return await anyio.to_thread.run_sync(self._compress, body, more_body)
        return self._compress(body, more_body)

    def _compress(self, body: bytes, more_body: bool) -> bytes:  # noqa: FBT001 - run_sync passes no names
        if self._compressor is None:
            self._compressor = brotli.Compressor(quality=_BROTLI_QUALITY)
        begun: bytes = self._compressor.process(body)
        rest: bytes = self._compressor.flush() if more_body else self._compressor.finish()
        return begun + rest


def chosen(accepted: str) -> str | None:
    """Return the encoding a client likes best of those we have, None for none (RFC 9110, 12.5.3).

    Args:
        accepted: its ``Accept-Encoding``, empty when it sent none; what cannot be read in it is not liked.
    """
    weights = dict(_weighted(part) for part in accepted.split(",") if part.strip())
    others = weights.get("*", 0.0)
    liked = {name: weights.get(name, others) for name in _OFFERED}
    # Not being named, no encoding is acceptable, yet nothing somebody asked for.
    plain = weights.get("identity", 0.0)
    best = max(_OFFERED, key=lambda name: liked[name])
    return best if liked[best] > 0 and liked[best] >= plain else None


def _weighted(part: str) -> tuple[str, float]:
    name, *parameters = (each.strip().lower() for each in part.split(";"))
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
    # x-gzip is what old clients call it.
    return name.removeprefix("x-"), weight if 0 <= weight <= 1 else 0.0
