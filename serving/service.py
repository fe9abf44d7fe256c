"""The BentoML service: hosts the application with one worker, on loopback unless it may listen elsewhere.

Every request goes to our application, health and metrics included: BentoML's own answers know nothing of our
dependencies, and its pages load scripts from the internet.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import bentoml
import click
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.listening import Listening, require_private
from adapters.settings import BadSettings, believe_proxies, load_settings, silence_telemetry
from serving import logs
from serving.http.app import build_app
from serving.parts import Parts
from serving.wiring import open_parts

silence_telemetry()
PORT = 3000
REQUEST_SECONDS = 30


def _may_listen() -> Listening:
    """Return how the settings say to listen; end the process when they, or who starts it, say what is refused.

    ``bentoml serve`` takes an address and a certificate of its own, from its command line or environment.
    """
    try:
        listening = Listening.of(settings := load_settings())
        context = click.get_current_context(silent=True)
        asked = context.params if context is not None else {}
        if asked.get("host"):
            has_tls = bool(asked.get("ssl_certfile")) or listening.certificate is not None
            require_private(_address(asked["host"]), has_tls=has_tls, proxy=settings.trusted_proxy)
    except BadSettings as error:
        raise SystemExit(f"kairos: {error}") from None
    return listening


def _address(host: str) -> IPv4Address | IPv6Address:
    if host == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(host)
    except ValueError:
        raise BadSettings(f"the host {host!r} is no address; give an IPv4 address, such as 127.0.0.1") from None


_LISTENING = _may_listen()
believe_proxies(_LISTENING.proxies)
_TLS: Any = (
    {"enabled": True, "certfile": str(_LISTENING.certificate), "keyfile": str(_LISTENING.key)}
    if _LISTENING.certificate is not None
    else {"enabled": False}
)


@contextmanager
def _opened() -> Iterator[Parts]:
    """Open everything, and keep the collector off what was made by then: it stays until the process ends.

    Looking through it again and again was a third of the time of a large batch.
    """
    settings = load_settings()
    # What is opened has something to say, too.
    logs.configure(settings.log_level)
    with open_parts(settings) as parts:
        gc.collect()
        gc.freeze()
        yield parts


app = build_app(_opened)


class OursFirst:
    """ASGI middleware that hands each request to our application before BentoML's routes see it."""

    def __init__(self, bentoml_app: ASGIApp, ours: ASGIApp) -> None:
        self._bentoml_app = bentoml_app
        self._ours = ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request to us, anything else (start and stop) to BentoML."""
        target = self._ours if scope["type"] == "http" else self._bentoml_app
        await target(scope, receive, send)


def _answered_by_us(service: Any) -> Any:
    service.add_asgi_middleware(OursFirst, ours=app)
    return service


@_answered_by_us
@bentoml.service(
    name="kairos",
    workers=1,
    http={"host": str(_LISTENING.host), "port": PORT},
    ssl=_TLS,
    traffic={"timeout": REQUEST_SECONDS},
    # Five spans per request cost more than the request, with nobody listening.
    tracing={"excluded_urls": ".*"},
    logging={"access": {"enabled": False}},
    # Its label is the path as it was asked for, which holds recipients' ids; ours is the route's template.
    metrics={"enabled": False},
)
@bentoml.asgi_app(app, path="/")
class KairosService:
    """Serves the API; BentoML runs its workers and starts and stops the application with them."""
