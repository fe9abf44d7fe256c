"""A client's ledger of what it sent and what was acknowledged, kept on disk, and the checker that compares it.

``lost`` was acknowledged and is not stored, ``duplicated`` is stored more than once, ``phantom`` was never sent. An
attempt without an answer is unknown: it may be on either side, and is sent again until it is answered.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

BATCH = 10


class Ledger:
    """What was sent and what was acknowledged; a line is on disk before the next step is taken."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.refusals: Counter[int] = Counter()

    def note_sent(self, ids: list[str]) -> None:
        """Write down what is about to be sent."""
        self._write({"sent": ids})
        with self._lock:
            self.sent.update(ids)

    def note_acknowledged(self, ids: list[str]) -> None:
        """Write down what the server says it has."""
        self._write({"acknowledged": ids})
        with self._lock:
            self.acknowledged.update(ids)

    def note_refused(self, status: int) -> None:
        """Count an answer that acknowledges nothing; 0 stands for no answer at all."""
        with self._lock:
            self.refusals[status] += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())


@dataclass(frozen=True)
class Findings:
    """What the checker found; all but the first must be empty."""

    acknowledged: int
    lost: set[str]
    duplicated: set[str]
    phantom: set[str]

    @property
    def line(self) -> str:
        """The findings as one line for the log."""
        return (
            f"ledger: acknowledged={self.acknowledged} lost={len(self.lost)} dup={len(self.duplicated)} "
            f"phantom={len(self.phantom)}"
        )


def check(ledger: Ledger, stored: Iterable[str]) -> Findings:
    """Compare the ledger with what is stored, one id for each row."""
    rows = Counter(stored)
    return Findings(
        acknowledged=len(ledger.acknowledged),
        lost=ledger.acknowledged - set(rows),
        duplicated={each for each, count in rows.items() if count > 1},
        phantom=set(rows) - ledger.sent,
    )


@dataclass
class Load:
    """Clients that send batches of new events, each until it is acknowledged, for as long as the block runs.

    Args:
        base_url: asked before each attempt, because a server that comes back may do so elsewhere.
        headers: the credential.
        event: makes an event of an id.
        ledger: where everything is noted.
    """

    base_url: Callable[[], str]
    headers: dict[str, str]
    event: Callable[[str], dict[str, Any]]
    ledger: Ledger
    clients: int = 4
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        number = 0
        with httpx.Client(headers=self.headers, timeout=10, trust_env=False) as http:
            while not self._ended.is_set():
                ids = [f"{client}-{number + offset}" for offset in range(BATCH)]
                number += BATCH
                self.ledger.note_sent(ids)
                # What is under way when the end comes is still answered, or the last batch would stay unknown.
                while not self._attempt(http, ids):
                    self._ended.wait(0.05)

    def _attempt(self, http: httpx.Client, ids: list[str]) -> bool:
        try:
            answer = http.post(f"{self.base_url()}/v1/events", json={"events": [self.event(each) for each in ids]})
        except httpx.TransportError:
            self.ledger.note_refused(0)
            return False
        if answer.status_code != 202:
            self.ledger.note_refused(answer.status_code)
            return False
        self.ledger.note_acknowledged(
            [each for each, said in zip(ids, answer.json()["verdicts"], strict=True) if said["verdict"] in _KEPT]
        )
        return True


_KEPT = ("stored", "duplicate")
