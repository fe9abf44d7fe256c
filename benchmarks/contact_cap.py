"""Many decisions at once about one recipient against a cap of three, while connections are killed: never a fourth.

Each round is a recipient who is asked about fifty times at once. Every second message may go now, the others wait an
hour, and what is deferred is handed over then, by everybody at once and twice each. Those whose connection is killed in
the middle ask again under the same id or key, as a client would. Counted are the sends that were recorded, the contacts
that were charged and the units of the channel, which must all be the same, and reservations without a message that
waits. ``--crashes`` kills PostgreSQL itself so many times, in the middle, and starts it again. ``--json`` prints one
object for machines on the last line.
"""

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, select, text

from adapters.handover_tokens import HandoverTokens
from adapters.keyring import Keyring
from adapters.postgres import contacts
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.contact_tables import contact, contact_use
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.follow_up_queue import FollowUps
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import decision
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from benchmarks.arguments import parsed
from benchmarks.consent_race import NEWS
from benchmarks.servers import Crashing, crashing
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.handover import Verdict
from domain.message_types import MessageType
from domain.tenants import Tenant
from domain.values import Purpose, Reason
from serving import logs
from serving.asks import Ask
from serving.decide import Decider, new_id
from serving.handovers import HandedOver, Handovers

SEED = 20261127
CAP = 3
RULES = ContactBudget.model_validate(
    {
        "rules": [
            {"id": "three", "limit": CAP, "rolling_minutes": 1440},
            {"id": "email_day", "per": "tenant", "limit": 10_000_000, "calendar": "month"},
        ]
    }
)
MOST_TRIES = 100
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 1.0
"""Whoever is told that the store is busy asks again a little later each time, as a client would."""
LATER = timedelta(hours=1)


def main() -> None:
    """Measure and print."""
    asked = parsed(
        __doc__,
        rounds=(1_000, "recipients"),
        at_once=(50, "decisions about each at the same time"),
        kill_share=(0.002, "chance of a kill before a statement"),
        seed=(SEED, "of the kills"),
        connections=(0, "to PostgreSQL; 0 is one for each decision at once"),
        crashes=(0, "of PostgreSQL, one every --crash-seconds"),
        crash_seconds=(8.0, "between two of them"),
        most_seconds=(3_600.0, "begin no round after so long"),
    )
    logs.configure("error")
    with (
        tempfile.TemporaryDirectory(prefix="kairos-bench-") as folder,
        crashing(Path(folder)) as (urls, settings, server),
    ):
        always = settings.model_copy(update={"holdout_share": 0.0, "quiet_hours_start": 8, "quiet_hours_end": 8})
        keyring = Keyring.of(settings)
        database = Database(urls.app, keyring=keyring, pool_size=asked.connections or asked.at_once)
        calm = Database(urls.app, keyring=keyring)
        tenant = Tenants(calm, SecretBox.of(settings)).create("cap", display_name="cap", is_sandbox=True)[0]
        MessageTypes(calm).publish(tenant, [MessageType.model_validate(NEWS)], actor="bench")
        ContactBudgets(calm).publish(tenant, RULES, actor="bench")
        decider = Decider(DecisionLog(database), lambda: None, always)
        handovers = Handovers(decider, FollowUps(database), HandoverTokens(SecretBox.of(settings)))
        with _crashes(server, asked.crashes, asked.crash_seconds) as count:
            result = _rounds(Sender(decider, handovers, tenant), database, calm, tenant, asked)
        result["crashes"] = count()
        database.close()
        calm.close()
    if not asked.json:
        for name, value in result.items():
            print(f"{name:<24} {value}")
    print(json.dumps(result))


@contextmanager
def _crashes(server: Crashing, times: int, every_seconds: float) -> Iterator[Callable[[], int]]:
    """Kill the server now and then inside the block; yields how often it was."""
    over, made = threading.Event(), 0

    def run() -> None:
        nonlocal made
        while made < times and not over.wait(every_seconds):
            server.crash()
            made += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: made
    finally:
        over.set()
        thread.join()


class Killer:
    """Ends the connection before a statement now and then, as a crash of the network or the server would."""

    def __init__(self, share: float, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - load
        self._share = share
        self.kills = 0

    def maybe(self, connection: Connection, cursor: Any, *_: Any) -> None:
        """Kill the connection a statement is about to run on."""
        if self._dice.random() < self._share and connection.in_transaction():
            self.kills += 1
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@dataclass(frozen=True)
class Sender:
    """Asks and hands over until there is an answer, always under the same id or key."""

    decider: Decider
    handovers: Handovers
    tenant: Tenant

    def ask(self, recipient: str, *, now: datetime, waits: bool) -> dict[str, Any]:
        """Ask for a decision; one that waits may go in an hour."""
        body: dict[str, Any] = {"recipient_id": recipient, "message": {"type": "news"}}
        body["message"]["expires_at"] = now + 2 * LATER
        body |= {"delivery_window": {"from": now + LATER}} if waits else {}
        ask = Ask(new_id(), DecisionRequest.model_validate(body), may_repeat=True)
        (recorded,) = self._until_answered(
            lambda: self.decider.decide(self.tenant, [ask], now=datetime.now(UTC), actor="bench")
        )
        return dict(recorded.answer)

    def hand_over(self, answer: dict[str, Any], key: str, *, now: datetime) -> HandedOver:
        """Hand over what a decision left to do."""
        decision_id = answer["decision_id"]
        handed: HandedOver = self._until_answered(
            lambda: self.handovers.hand_over(self.tenant, decision_id, {}, key=key, now=now, actor="bench")
        )
        return handed

    def _until_answered(self, work: Callable[[], Any]) -> Any:
        for number in range(MOST_TRIES):
            with suppress(Unavailable):
                return work()
            time.sleep(min(LONGEST_PAUSE_SECONDS, number * FIRST_PAUSE_SECONDS))
        raise RuntimeError(f"no answer in {MOST_TRIES} tries")


@dataclass
class Tally:
    """What was answered."""

    sent: Counter[str] = field(default_factory=Counter)
    handed_over: int = 0
    stopped: int = 0
    waiting: int = 0


def _rounds(
    sender: Sender, database: Database, calm: Database, tenant: Tenant, asked: argparse.Namespace
) -> dict[str, Any]:
    killer = Killer(asked.kill_share, asked.seed)
    event.listen(database.engine, "before_cursor_execute", killer.maybe)
    recipients = [f"r{number:05d}" for number in range(asked.rounds)]
    now = datetime.now(UTC)
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="bench", effective_at=now - timedelta(days=1)
    )
    ConsentStore(calm).record_many(tenant, {each: [given] for each in recipients}, actor="bench", now=now)
    tally, started, done = Tally(), time.monotonic(), 0
    with ThreadPoolExecutor(asked.at_once) as pool:
        for recipient in recipients:
            _round(pool, sender, recipient, tally, asked.at_once)
            done += 1
            if done % 50 == 0:
                told = f"{done} rounds, {killer.kills} kills, {time.monotonic() - started:.0f} s"
                print(told, "most sent", max(tally.sent.values()), flush=True)
            if time.monotonic() - started > asked.most_seconds:
                break
    return {
        "rounds": done,
        "at_once": asked.at_once,
        "cap": CAP,
        "kills": killer.kills,
        "most_sent": max(tally.sent.values()),
        "least_sent": min(tally.sent[each] for each in recipients[:done]),
        "handed_over": tally.handed_over,
        "told_it_was_done": tally.stopped,
        **_counted(calm, tenant, tally),
        "seconds": round(time.monotonic() - started, 1),
    }


def _round(pool: ThreadPoolExecutor, sender: Sender, recipient: str, tally: Tally, at_once: int) -> None:
    now = datetime.now(UTC)
    work = [pool.submit(sender.ask, recipient, now=now, waits=number % 2 == 1) for number in range(at_once)]
    answers = [each.result() for each in work]
    tally.sent[recipient] += sum(each["outcome"] == "send_now" for each in answers)
    waiting = [each for each in answers if each["outcome"] == "defer"]
    later = now + LATER + timedelta(seconds=1)
    tries = [(each, key) for each in waiting for key in ("one", "other")]
    handed = [each.result() for each in [pool.submit(sender.hand_over, *each, now=later) for each in tries]]
    gone = len({each.decision_id for each in handed if each.verdict is Verdict.GO})
    tally.sent[recipient] += sum(each.verdict is Verdict.GO for each in handed)
    tally.handed_over += gone
    tally.stopped += sum(each.reason is Reason.HANDOVER_DONE for each in handed)
    tally.waiting += len(waiting) - gone


def _counted(database: Database, tenant: Tenant, tally: Tally) -> dict[str, int]:
    """Return what the tables say.

    Leaked is what was charged and not sent, or sent and not charged, or reserved for nothing that waits, or read as
    reserved when all of it is over.
    """
    answered = sum(tally.sent.values())
    with database.tenant(tenant.tenant) as connection:
        sent = int(connection.execute(_SENT).scalar_one())
        made = select(func.count()).select_from(contact).where(contact.c.reserved_until.is_(None))
        charged = int(connection.execute(made).scalar_one())
        used = int(connection.execute(select(func.sum(contact_use.c.used))).scalar_one())
        rounds_over = int(connection.execute(_OVER).scalar_one())
        orphans = int(connection.execute(_ORPHANS).scalar_one())
        over = datetime.now(UTC) + 2 * LATER
        recipients = list(tally.sent)
        left = contacts.spent(connection, tenant, recipients, RULES, now=over)
        counted_late = sum(len(each.contacts) for each in left.values()) - charged
    leaked = abs(charged - sent) + abs(used - sent) + abs(answered - sent) + orphans + counted_late
    return {"sent": sent, "rounds_over_cap": rounds_over, "reserved_for_nothing": orphans, "leaked": leaked}


_SENT = select(func.count()).select_from(decision).where(decision.c.outcome == "send_now")
_OVER = text(
    "SELECT count(*) FROM (SELECT FROM decision WHERE outcome = 'send_now' "
    f"GROUP BY subject_key HAVING count(*) > {CAP}) AS over"
)
_ORPHANS = text("""
SELECT count(*) FROM contact c LEFT JOIN follow_up f ON f.tenant = c.tenant AND f.decision_id = c.contact_id
WHERE c.reserved_until IS NOT NULL AND f.state IS DISTINCT FROM 'waiting'
""")


if __name__ == "__main__":
    main()
