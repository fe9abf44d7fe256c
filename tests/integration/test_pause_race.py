"""Deciders and an operator at once: once a pause is answered nothing is sent until it is lifted.

The same race without the lock does send against it, which shows that the test can see it.
"""

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from adapters.postgres import choices
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.pauses import Pauses
from adapters.postgres.tables import decision
from adapters.settings import Settings
from domain.decision_request import DecisionRequest
from serving.asks import Ask
from serving.decide import Decider, new_id
from tests.builders import NOON, a_type

DECIDERS = 4
PAUSES = 12
LONGEST_PAUSE = 0.03
"""Seconds between a decision's reading and its writing: time enough for an operator to come in between."""
SCOPES = ("*", "email")


class Locked(DecisionLog):
    """The real log, taking its time."""

    def _locked(self, connection, tenant, recipient_ids, *, now):
        read = super()._locked(connection, tenant, recipient_ids, now=now)
        time.sleep(random.uniform(0, LONGEST_PAUSE))
        return read


class Unlocked(DecisionLog):
    """Reads again like the real log, and as late, but holds nothing."""

    def _locked(self, connection, tenant, recipient_ids, *, now):
        read = choices.read(connection, tenant, recipient_ids, now=now)
        time.sleep(random.uniform(0, LONGEST_PAUSE))
        return read


@pytest.fixture
def receipts(db, tenant):
    """A receipt by e-mail, which needs nobody's consent."""
    variants = [{"id": "a", "content": {"email": {"body": "b"}}}]
    receipt = a_type(**{"class": "transactional", "channels": ["email"], "variants": variants})
    MessageTypes(db).publish(tenant, [receipt], actor="test")
    return tenant


class Race:
    """Deciders who keep asking while one operator pauses and goes on again and again."""

    def __init__(self, db, tenant, log) -> None:
        self._db, self._tenant = db, tenant
        self._decider = Decider(log, lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000))
        self._pauses = Pauses(db)
        self._closed: list[tuple[datetime, datetime]] = []
        self._failures: list[BaseException] = []
        self._is_over = threading.Event()

    def run(self) -> tuple[int, int]:
        """Return how many sends there were, and how many were recorded while a pause was known to hold."""
        threads = [threading.Thread(target=self._watched, args=(self._decide, name)) for name in range(DECIDERS)]
        for thread in threads:
            thread.start()
        self._watched(self._operate)
        self._is_over.set()
        for thread in threads:
            thread.join()
        assert self._failures == []
        with self._db.tenant(self._tenant.tenant) as connection:
            sent = select(decision.c.recorded_at).where(decision.c.outcome == "send_now")
            sends = connection.execute(sent).scalars().all()
        return len(sends), sum(any(start < at < end for start, end in self._closed) for at in sends)

    def _operate(self) -> None:
        for number in range(PAUSES):
            time.sleep(random.uniform(0, 3 * LONGEST_PAUSE))
            self._pauses.set(self._tenant, SCOPES[number % 2], reason="test", actor="test")
            answered = datetime.now(UTC)
            time.sleep(2 * LONGEST_PAUSE)
            self._closed.append((answered, datetime.now(UTC) - timedelta(milliseconds=1)))
            self._pauses.lift(self._tenant, SCOPES[number % 2], actor="test")

    def _decide(self, name: int) -> None:
        while not self._is_over.is_set():
            body = {"recipient_id": f"r{name}", "message": {"type": "news"}}
            ask = Ask(new_id(), DecisionRequest.model_validate(body))
            self._decider.decide(self._tenant, [ask], now=NOON, actor="test")

    def _watched(self, work, *given) -> None:
        try:
            work(*given)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            self._failures.append(error)
            self._is_over.set()


def test_nothing_is_sent_after_a_pause_was_answered(db, receipts):
    sends, late = Race(db, receipts, Locked(db)).run()
    assert sends > 0, "the deciders hardly ran, so nothing was shown"
    assert late == 0


def test_without_the_lock_something_is(db, receipts):
    # A busy machine may keep the two apart for a whole race, hardly for five.
    assert any(Race(db, receipts, Unlocked(db)).run()[1] > 0 for _ in range(5))
