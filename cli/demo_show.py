"""The demo's end: waits until the champion serves, then asks for a send, a refusal and a deferral."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

from cli.demo_input import DemoInput, Loaded, set_clock
from cli.demo_story import Story
from cli.exit_codes import Refused

if TYPE_CHECKING:
    from cli.stack import Stack

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.5
_HELD_OUT = "uniform_v1"


def show(stack: "Stack", given: DemoInput, loaded: Loaded, say: Callable[[str], None]) -> tuple[dict[str, Any], int]:
    """Show the three kinds of decisions; return the send and how many decisions were asked for.

    Raises:
        Refused: the service does not become ready with a model.
        NotSeen: a kind did not come up.
    """
    url = stack.endpoints.api_url
    _wait_for_model(url)
    story = Story(url, loaded.api_key, say)
    sent = story.until("send", loaded.consenting, _is_by_the_model)
    story.until("refusal", loaded.silent, lambda answer: answer["reason"] == "consent.missing")
    _move_clock(stack, given)
    say("\nThe sandbox's clock now says 22:30 in New York")
    story.until("deferral", loaded.consenting, lambda answer: answer["outcome"] == "defer")
    return sent, story.decisions


def _is_by_the_model(answer: dict[str, Any]) -> bool:
    """Tell whether a message is sent for what the model expects: whoever is held out is drawn evenly."""
    return answer["outcome"] == "send_now" and answer["degraded"] is None and answer["versions"]["policy"] != _HELD_OUT


def _wait_for_model(url: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        answer = httpx.get(f"{url}/readyz", timeout=5)
        if answer.is_success and answer.json()["status"] == "ready":
            return
        if time.monotonic() > deadline:
            raise Refused(f"the service is not ready: {answer.text[:500]}")
        time.sleep(_POLL_SECONDS)


def _move_clock(stack: "Stack", given: DemoInput) -> None:
    from adapters.keyring import Keyring
    from adapters.postgres.engine import Database
    from adapters.postgres.tenants import Tenants
    from adapters.secrets import SecretBox

    database = Database(stack.endpoints.databases.app, keyring=Keyring.of(stack.settings), pool_size=1)
    try:
        set_clock(Tenants(database, SecretBox.of(stack.settings)), given.late_evening)
    finally:
        database.close()
