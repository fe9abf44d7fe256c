"""Two clients at once: whoever takes a permission away and has been answered is never sent against.

The same race without the lock does send against it, which shows that the test can see it.
"""

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select, text

from adapters.postgres import allowances, choices
from adapters.postgres.consent import ConsentStore, apply
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.profiles import Profiles
from adapters.postgres.tables import decision
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.identity import subject_key
from domain.ingest import parse
from domain.profiles import Profile
from domain.switches import ChannelSwitch
from domain.values import ANY_CHANNEL, Channel, Purpose
from serving.asks import Ask
from serving.decide import Decider, new_id
from tests.builders import NOON, a_type

RECIPIENTS = [f"r{number}" for number in range(48)]
DECIDERS = 4
LONGEST_PAUSE = 0.03
"""Seconds between a decision's reading and its writing: time enough for a withdrawal to come in between."""


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


class Withdrawals:
    """Every way to take a permission away, each acknowledged when it returns."""

    def __init__(self, db, tenant):
        self._consents = ConsentStore(db)
        self._profiles = Profiles(db)
        self._events = EventLog(db, EventEffects(), retention=timedelta(days=3650))
        self._tenant = tenant
        self._ways = [self._everywhere, self._one_channel, self._switch, self._unsubscribe, self._bounce, self._delete]

    def take(self, number: int) -> None:
        self._ways[number % len(self._ways)](RECIPIENTS[number])

    def _withdraw(self, recipient, channel):
        change = ConsentChange(
            purpose=Purpose.MARKETING, channel=channel, status=ConsentStatus.WITHDRAWN, source="test"
        )
        self._consents.record(self._tenant, recipient, [change], actor="test", now=NOON)

    def _everywhere(self, recipient):
        self._withdraw(recipient, ANY_CHANNEL)

    def _one_channel(self, recipient):
        self._withdraw(recipient, Channel.EMAIL)

    def _switch(self, recipient):
        switch = ChannelSwitch(channel=Channel.EMAIL, is_on=False)
        self._consents.switch(self._tenant, recipient, switch, actor="test", source="test")

    def _unsubscribe(self, recipient):
        self._event(recipient, "unsubscribed", {})

    def _bounce(self, recipient):
        self._event(recipient, "bounced", {"bounce_type": "hard"})

    def _event(self, recipient, kind, properties):
        given = {"source": "esp", "event_id": f"{kind}-{recipient}", "type": kind, "recipient_id": recipient}
        given |= {"channel": "email", "occurred_at": NOON.isoformat(), "properties": properties}
        self._events.append(self._tenant, [parse(given, 0)], origin="test", received_at=NOON, now=NOON)

    def _delete(self, recipient):
        self._profiles.delete(self._tenant, recipient, actor="test", now=NOON)


@pytest.fixture
def consenting(db, tenant):
    """A marketing type on e-mail, and recipients who agree to everything."""
    on_email = {"channels": ["email"], "variants": [{"id": "a", "content": {"email": {"body": "b"}}}]}
    MessageTypes(db).publish(tenant, [a_type(**on_email)], actor="test")
    Profiles(db).put_many(tenant, {recipient: Profile() for recipient in RECIPIENTS}, actor="test")
    grant = ConsentChange(
        purpose=Purpose.MARKETING,
        status=ConsentStatus.GIVEN,
        source="test",
        effective_at=NOON - timedelta(days=1),
    )
    ConsentStore(db).record_many(tenant, {each: [grant] for each in RECIPIENTS}, actor="test", now=NOON)
    return tenant


class Race:
    """Deciders who keep asking about the recipient whose permission is taken away next."""

    def __init__(self, db, tenant, log) -> None:
        self._db, self._tenant = db, tenant
        self._decider = Decider(log, lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000))
        self._withdrawals = Withdrawals(db, tenant)
        self._answered: dict[str, datetime] = {}
        self._target = 0
        self._failures: list[BaseException] = []

    def run(self) -> tuple[int, int]:
        """Return how many sends there were, and how many were recorded after the withdrawal was answered."""
        threads = [threading.Thread(target=self._watched, args=(self._decide,)) for _ in range(DECIDERS)]
        threads.append(threading.Thread(target=self._watched, args=(self._withdraw,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self._failures == []
        sent = select(decision.c.subject_key, decision.c.recorded_at).where(decision.c.outcome == "send_now")
        with self._db.tenant(self._tenant.tenant) as connection:
            sends = connection.execute(sent).all()
        return len(sends), sum(send.recorded_at > self._answered[send.subject_key] for send in sends)

    def _decide(self) -> None:
        while (number := self._target) < len(RECIPIENTS):
            body = {"recipient_id": RECIPIENTS[number], "message": {"type": "news"}}
            ask = Ask(new_id(), DecisionRequest.model_validate(body))
            self._decider.decide(self._tenant, [ask], now=NOON, actor="test")

    def _withdraw(self) -> None:
        for number, recipient in enumerate(RECIPIENTS):
            time.sleep(random.uniform(0, 3 * LONGEST_PAUSE))
            self._withdrawals.take(number)
            self._answered[subject_key(self._tenant.subject_secret, recipient)] = datetime.now(UTC)
            self._target = number + 1

    def _watched(self, work) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            self._failures.append(error)
            self._target = len(RECIPIENTS)


def test_nothing_is_sent_after_a_withdrawal_was_answered(db, consenting):
    sends, late = Race(db, consenting, Locked(db)).run()
    assert sends > 0, "the deciders hardly ran, so nothing was shown"
    assert late == 0


def test_without_the_lock_something_is(db, consenting):
    assert Race(db, consenting, Unlocked(db)).run()[1] > 0


def waiting(db, tenant, names) -> int:
    """Return how many of the statements under way wait for a lock on the heads."""
    asked = text("""
        SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || :name || '%'
    """)
    with db.tenant(tenant.tenant) as connection:
        return sum(connection.execute(asked, {"name": name}).scalar_one() for name in names)


def until(found, what) -> None:
    for _ in range(1_000):
        if found():
            return
        time.sleep(0.01)
    raise AssertionError(f"never came: {what}")


def test_a_decision_that_comes_after_a_waiting_opt_out_does_not_go_past_it(db, consenting):
    """With a shared lock it would, and so would the next: an opt-out could wait for as long as somebody decides."""
    recipient, seen = RECIPIENTS[0], []
    marks = [f"/* {uuid.uuid4().hex} */" for _ in range(2)]

    def marked(mark):
        def mark_it(conn, cursor, statement, parameters, context, executemany):
            return f"{statement} {mark}", parameters

        return mark_it

    def opt_out():
        withdrawn = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.WITHDRAWN, source="test")
        with db.tenant(consenting.tenant) as connection:
            event.listen(connection, "before_cursor_execute", marked(marks[0]), retval=True)
            apply(connection, consenting, {recipient: [withdrawn]}, actor="test", now=NOON)

    def decide():
        with db.tenant(consenting.tenant) as connection:
            event.listen(connection, "before_cursor_execute", marked(marks[1]), retval=True)
            allowances.lock(connection, [recipient])
            seen.append(allowances.read(connection, [recipient])[recipient].consents[0].status)

    with db.tenant(consenting.tenant) as holder, ThreadPoolExecutor(2) as pool:
        allowances.lock(holder, [recipient])
        try:
            opted_out = pool.submit(opt_out)
            until(lambda: waiting(db, consenting, marks[:1]) == 1, "the opt-out, waiting for the decision under way")
            decided = pool.submit(decide)
            until(lambda: decided.done() or waiting(db, consenting, marks[1:]) == 1, "the second decision")
            assert not decided.done(), "the second decision went past the opt-out"
        finally:
            holder.commit()
        opted_out.result(), decided.result()
    assert seen == [ConsentStatus.WITHDRAWN]
