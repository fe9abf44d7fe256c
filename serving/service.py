"""The BentoML service: hosts the application with one worker, on loopback unless it may listen elsewhere.

Every request goes to our application, health and metrics included: BentoML's own answers know nothing of our
dependencies, and its pages load scripts from the internet.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.settings import load_settings, silence_telemetry
from serving import bind, logs
from serving.http.app import build_app
from serving.parts import Parts
from serving.wiring import open_parts

silence_telemetry()
PORT = 3000
REQUEST_SECONDS = 30


_LISTENING = bind.LISTENING
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
