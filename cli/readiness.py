"""When a process we started counts as ready: it answers, or it says so in its log."""

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

Ready = Callable[[str], bool]
"""Asked again and again with what the process has logged so far."""
ANSWER_SECONDS = 2.0
"""Longest one question to a process may take."""


def answers(url: str) -> Ready:
    """Return a check that passes when a GET of a loopback URL is answered with 200."""
    return lambda _: status_of(url) == http.client.OK


def logged(text: str) -> Ready:
    """Return a check that passes when the log of this start contains a text."""
    return lambda log: text in log


def status_of(url: str) -> int | None:
    """Return the HTTP status a loopback URL answers with, None when nothing answers in time."""
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        link.request("GET", parts.path or "/")
        return link.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        link.close()
