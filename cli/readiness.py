"""When a process we started counts as ready: it answers, its heart beats, or it says so in its log."""

import http.client
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from adapters import heartbeat
from adapters.heartbeat import Heartbeat


class Seen(NamedTuple):
    """What is known of a process: its pid, and what it has logged since its start."""

    pid: int
    log: str


Ready = Callable[[Seen], bool]
"""Asked again and again until it passes."""
ANSWER_SECONDS = 2.0
"""Longest one question to a process may take."""


def answers(url: str) -> Ready:
    """Return a check that passes when a GET of a URL of ours is answered with 200."""
    return lambda _: status_of(url) == http.client.OK


def logged(text: str) -> Ready:
    """Return a check that passes when the log of this start contains a text."""
    return lambda seen: text in seen.log


def beats(data_dir: Path, name: str) -> Ready:
    """Return a check that passes when a process without a port says by its heartbeat that it works."""
    return lambda seen: (beat := heartbeat.read(data_dir, name)) is not None and is_working(beat, seen.pid)


def is_working(beat: Heartbeat, pid: int) -> bool:
    """Tell whether a heartbeat is this very process's, and recent."""
    return beat.pid == pid and beat.is_alive(datetime.now(UTC))


def status_of(url: str) -> int | None:
    """Return the HTTP status a URL of ours answers with, None when nothing answers in time."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    link = (
        http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=_ours())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    )
    try:
        link.request("GET", parts.path or "/")
        return link.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        link.close()


def _ours() -> ssl.SSLContext:
    # The certificate is of the public name, not of the address we ask ourselves at; nothing secret is sent.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
