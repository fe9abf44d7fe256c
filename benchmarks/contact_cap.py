"""Many decisions at once about one recipient against a cap of three, while connections are killed: never a fourth.

Each round is a recipient who is asked about fifty times at once. Those whose connection is killed in the middle
ask again under the same id, as a client would. Counted are the sends that were recorded, the contacts that were charged
and the units of the channel, which must all be the same. ``--json`` prints one object for machines on the last line.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, select, text

from adapters.keyring import Keyring
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.contact_tables import contact, contact_use
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import decision
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from benchmarks.arguments import parsed
from benchmarks.consent_race import NEWS
from benchmarks.servers import postgres
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.message_types import MessageType
from domain.tenants import Tenant
from domain.values import Purpose
from serving import logs
from serving.asks import Ask
from serving.decide import Decider, new_id

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
MOST_TRIES = 20


def main() -> None:
    """Measure and print."""
    asked = parsed(
        __doc__,
        rounds=(1_000, "recipients"),
        at_once=(50, "decisions about each at the same time"),
        kill_share=(0.002, "chance of a kill before a statement"),
    )
    logs.configure("error")
    with (
        tempfile.TemporaryDirectory(prefix="kairos-bench-") as folder,
        postgres(Path(folder)) as (urls, settings),
    ):
        always = settings.model_copy(update={"holdout_share": 0.0, "quiet_hours_start": 8, "quiet_hours_end": 8})
        keyring = Keyring.of(settings)
        database = Database(urls.app, keyring=keyring, pool_size=asked.at_once)
        calm = Database(urls.app, keyring=keyring)
        tenant = Tenants(calm, SecretBox.of(settings)).create("cap", display_name="cap", is_sandbox=True)[0]
        MessageTypes(calm).publish(tenant, [MessageType.model_validate(NEWS)], actor="bench")
        ContactBudgets(calm).publish(tenant, RULES, actor="bench")
        result = _rounds(Decider(DecisionLog(database), lambda: None, always), database, calm, tenant, asked)
        database.close()
        calm.close()
    if not asked.json:
        for name, value in result.items():
            print(f"{name:<24} {value}")
    print(json.dumps(result))


class Killer:
    """Ends the connection before a statement now and then, as a crash of the network or the server would."""

    def __init__(self, share: float) -> None:
        self._dice = random.Random(SEED)  # noqa: S311 - load
        self._share = share
        self.kills = 0

    def maybe(self, connection: Connection, cursor: Any, *_: Any) -> None:
        """Kill the connection a statement is about to run on."""
        if self._dice.random() < self._share and connection.in_transaction():
            self.kills += 1
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def _rounds(
    decider: Decider, database: Database, calm: Database, tenant: Tenant, asked: argparse.Namespace
) -> dict[str, Any]:
    killer = Killer(asked.kill_share)
    event.listen(database.engine, "before_cursor_execute", killer.maybe)
    recipients = [f"r{number:05d}" for number in range(asked.rounds)]
    now = datetime.now(UTC)
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="bench", effective_at=now - timedelta(days=1)
    )
    ConsentStore(calm).record_many(tenant, {each: [given] for each in recipients}, actor="bench", now=now)
    answered: Counter[str] = Counter()
    started = time.monotonic()
    with ThreadPoolExecutor(asked.at_once) as pool:
        for number, recipient in enumerate(recipients, 1):
            work = [pool.submit(_ask, decider, tenant, recipient) for _ in range(asked.at_once)]
            answered[recipient] = sum(each.result() == "send_now" for each in work)
            if number % 50 == 0 and not asked.json:
                print(f"{number} rounds, {killer.kills} kills, {time.monotonic() - started:.0f} s")
    return {
        "rounds": asked.rounds,
        "at_once": asked.at_once,
        "cap": CAP,
        "kills": killer.kills,
        "most_sent": max(answered.values()),
        "least_sent": min(answered.values()),
        **_counted(calm, tenant, sum(answered.values())),
        "seconds": round(time.monotonic() - started, 1),
    }


def _ask(decider: Decider, tenant: Tenant, recipient: str) -> str:
    """Ask until there is an answer, always under the same id; returns the outcome."""
    body = {"recipient_id": recipient, "message": {"type": "news"}}
    ask = Ask(new_id(), DecisionRequest.model_validate(body), may_repeat=True)
    for _ in range(MOST_TRIES):
        try:
            (recorded,) = decider.decide(tenant, [ask], now=datetime.now(UTC), actor="bench")
        except Unavailable:
            continue
        return str(recorded.answer["outcome"])
    raise RuntimeError(f"no answer in {MOST_TRIES} tries")


def _counted(database: Database, tenant: Tenant, answered: int) -> dict[str, int]:
    """Return what the tables say; leaked is what was charged and not sent, or sent and not charged."""
    sends = select(func.count()).select_from(decision).where(decision.c.outcome == "send_now")
    over = text(
        "SELECT count(*) FROM (SELECT FROM decision WHERE outcome = 'send_now' "
        f"GROUP BY subject_key HAVING count(*) > {CAP}) AS over"
    )
    with database.tenant(tenant.tenant) as connection:
        sent = int(connection.execute(sends).scalar_one())
        charged = int(connection.execute(select(func.count()).select_from(contact)).scalar_one())
        used = int(connection.execute(select(func.sum(contact_use.c.used))).scalar_one())
        rounds_over = int(connection.execute(over).scalar_one())
    leaked = abs(charged - sent) + abs(used - sent) + abs(answered - sent)
    return {"sent": sent, "rounds_over_cap": rounds_over, "leaked": leaked}


if __name__ == "__main__":
    main()
