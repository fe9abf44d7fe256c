"""Reads a list of the API page by page, as a client does."""

from collections.abc import Callable
from typing import Any

import httpx

MOST_PAGES = 200


def walked(
    api: httpx.Client, where: str, name: str, *, between: Callable[[], Any] = lambda: None, **query: Any
) -> list[Any]:
    """Return every item of a list by following ``next_cursor``; ``between`` is called after each page but the last."""
    found: list[Any] = []
    for _ in range(MOST_PAGES):
        answer = api.get(where, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page[name]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]
        between()
    raise AssertionError("a list without an end")
