"""A running service as a sender sees it: recipients, decisions and events over HTTP; a repeat changes nothing."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

EVENTS_AT_ONCE = 1_000
DECISIONS_AT_ONCE = 200
WORKERS = 4
TRIES, FIRST_PAUSE_SECONDS = 6, 0.25
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY})
_NO_SUCH_ROUTE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class ServiceFault(RuntimeError):
    """The service does not answer, or refuses what a sender may ask; says what it answered."""


@dataclass(frozen=True)
class Question:
    """One decision to ask for, under a key that stands for it for good."""

    key: str
    body: Mapping[str, Any]


class Service:
    """A client with a pool of connections; close it, or use it in a ``with`` block."""

    def __init__(
        self, url: str, key: str, *, workers: int = WORKERS, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Connect nothing yet.

        Args:
            url: where the service listens.
            key: of the tenant.
            workers: requests under way at once.
            transport: another way to reach it, for tests.
        """
        self._client = httpx.Client(
            base_url=url, headers={"X-API-Key": key}, timeout=30, trust_env=False, transport=transport
        )
        self._pool = ThreadPoolExecutor(workers)
        self._takes_batches = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop what waits, and the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def welcome(self, recipients: Mapping[str, Mapping[str, bool]], *, time_zone: str, source: str) -> None:
        """Create recipients who allow marketing and personalization, on the channels that are True.

        Raises:
            ServiceFault: one was not taken.
        """
        list(
            self._pool.map(
                lambda recipient: self._welcome(recipient, recipients[recipient], time_zone, source), recipients
            )
        )

    def decide(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Return the answers, in the order of the questions; many in one request where the service takes that.

        Raises:
            ServiceFault: one was refused.
        """
        answers: list[dict[str, Any]] = []
        for some in _pieces(questions, DECISIONS_AT_ONCE):
            answers += self._batch(some) if self._takes_batches else self._one_by_one(some)
        return answers

    def tell(self, events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Report events and return how many got each verdict; those that were told before are ``duplicate``.

        Raises:
            ServiceFault: the request, or one of the events, was refused.
        """
        counts: dict[str, int] = {}
        for some in _pieces(events, EVENTS_AT_ONCE):
            verdicts = self._ask("POST", "/v1/events", {"events": list(some)})["verdicts"]
            bad = [each for each in verdicts if each["verdict"] not in {"stored", "duplicate"}]
            if bad:
                raise ServiceFault(f"{len(bad)} events were not stored; the first: {bad[0]}")
            for each in verdicts:
                counts[each["verdict"]] = counts.get(each["verdict"], 0) + 1
        return counts

    def _welcome(self, recipient: str, channels: Mapping[str, bool], time_zone: str, source: str) -> None:
        place = f"/v1/recipients/{recipient}"
        self._ask("PUT", f"{place}/profile", {"time_zone": {"name": time_zone, "source": "declared"}})
        for purpose in ("marketing", "personalization"):
            self._ask("POST", f"{place}/consents", {"purpose": purpose, "status": "given", "source": source})
        for channel, is_on in channels.items():
            if not is_on:
                self._ask("PUT", f"{place}/channels/{channel}", {"is_on": False, "source": source})

    def _batch(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        items = [{"idempotency_key": each.key, "request": each.body} for each in questions]
        answer = self._send("POST", "/v1/decisions/batch", {"decisions": items}, {})
        if answer.status_code in _NO_SUCH_ROUTE:
            self._takes_batches = False
            return self._one_by_one(questions)
        verdicts = _body(answer)["verdicts"]
        refused = [each for each in verdicts if each["decision"] is None]
        if refused:
            raise ServiceFault(f"{len(refused)} decisions were refused; the first: {refused[0]['problem']}")
        return [each["decision"] for each in verdicts]

    def _one_by_one(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        def ask(each: Question) -> dict[str, Any]:
            return self._ask("POST", "/v1/decisions", each.body, {"Idempotency-Key": each.key})

        return list(self._pool.map(ask, questions))

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return _body(self._send(method, path, body, headers or {}))

    def _send(self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> httpx.Response:
        """Return the answer; everything sent here may be sent again, so what was lost on the way is."""
        said, pause = "", threading.Event()
        for turn in range(TRIES):
            if turn:
                pause.wait(FIRST_PAUSE_SECONDS * 2 ** (turn - 1))
            try:
                answer = self._client.request(method, path, json=dict(body), headers=dict(headers))
            except httpx.TransportError as error:
                said = type(error).__name__
                continue
            if answer.status_code not in _LATER:
                return answer
            said = f"{answer.status_code} {answer.text[:200]}"
        raise ServiceFault(f"{method} {path}: not answered after {TRIES} tries; the last: {said}")


def _body(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        asked = answer.request
        raise ServiceFault(f"{asked.method} {asked.url.path}: {answer.status_code} {answer.text[:500]}")
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found


_T = TypeVar("_T")


def _pieces(whole: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
