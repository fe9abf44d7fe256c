"""Opt-outs against deciders: how many sends are recorded after the opt-out was acknowledged, with the lock and without.

Every statement of a decider is delayed at random, so that an opt-out can come in between any two of them. The same
opt-outs with nobody deciding show what the machine takes for them by itself, in the same run. ``--json`` prints one
object on the last line. PostgreSQL is started for the measurement and removed after it.
"""

import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, event, func, select

from adapters.keyring import Keyring
from adapters.postgres import choices
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tables import decision
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from benchmarks.arguments import parsed
from benchmarks.servers import postgres
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.gates import Allowances
from domain.identity import subject_key
from domain.message_types import MessageType
from domain.tenants import Tenant
from domain.values import Purpose
from serving import logs
from serving.asks import Ask
from serving.decide import Decider, new_id

SEED = 20261126
LONGEST_DELAY = 0.015
"""Seconds a decider may wait before each of its statements."""
AHEAD = 3
"""Deciders ask about the recipients who opt out next: this many of each line."""
LINES = 4
"""Recipients opt out in this many lines at a time."""
NEWS = {
    "type": "news",
    "class": "marketing",
    "category": "news",
    "channels": ["email"],
    "variants": [{"id": "a", "content": {"email": {"body": "b"}}}],
}


class Unlocked(DecisionLog):
    """Reads again as late as the real log does, and holds nothing: the defence switched off."""

    def _locked(
        self, connection: Connection, tenant: Tenant, recipient_ids: Sequence[str], *, now: datetime
    ) -> dict[str, Allowances]:
        return choices.read(connection, tenant, recipient_ids, now=now)


@dataclass
class Race:
    """One run: deciders who keep asking, and opt-outs of one recipient after the other."""

    tenant: Tenant
    decider: Decider
    consents: ConsentStore
    recipients: list[str]
    answered: dict[str, datetime] = field(default_factory=dict)
    waits_ms: list[float] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)

    def run(self, deciders: int) -> None:
        """Let everybody loose and wait until the last recipient has opted out.

        Raises:
            BaseException: what the first thread that failed raised.
        """
        self.lines = [self.recipients[line::LINES] for line in range(LINES)]
        works = [partial(self._opt_out, line) for line in self.lines] + [self._decide] * deciders
        threads = [
            threading.Thread(target=self._watched, args=(work, random.Random(SEED + number)))  # noqa: S311 - load
            for number, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _decide(self, dice: random.Random) -> None:
        while waiting := [recipient for line in self.lines for recipient in line[:AHEAD]]:
            body = {"recipient_id": dice.choice(waiting), "message": {"type": "news"}}
            ask = Ask(new_id(), DecisionRequest.model_validate(body))
            self.decider.decide(self.tenant, [ask], now=datetime.now(UTC), actor="bench")

    def _opt_out(self, line: list[str], dice: random.Random) -> None:
        withdrawn = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.WITHDRAWN, source="bench")
        while line:
            time.sleep(dice.uniform(0, 2 * LONGEST_DELAY))
            recipient, asked = line[0], time.monotonic()
            self.consents.record(self.tenant, recipient, [withdrawn], actor="bench", now=datetime.now(UTC))
            self.answered[subject_key(self.tenant.subject_secret, recipient)] = datetime.now(UTC)
            self.waits_ms.append(1000 * (time.monotonic() - asked))
            line.pop(0)

    def _watched(self, work: Any, dice: random.Random) -> None:
        try:
            work(dice)
        except BaseException as error:  # noqa: BLE001 - raised again by run
            self.failures.append(error)
            for line in self.lines:
                line.clear()


def main() -> None:
    """Measure and print."""
    arguments = parsed(__doc__, recipients=(2_000, "recipients"), deciders=(12, "threads that decide"))
    logs.configure("error")
    with (
        tempfile.TemporaryDirectory(prefix="kairos-bench-") as folder,
        postgres(Path(folder)) as (urls, settings),
    ):
        result = measure(urls, settings, recipients=arguments.recipients, deciders=arguments.deciders)
    if not arguments.json:
        for name, value in result.items():
            print(f"{name:<24} {value}")
    print(json.dumps(result))


def measure(urls: DatabaseUrls, settings: Settings, *, recipients: int, deciders: int) -> dict[str, float]:
    """Race with the lock, without it, and with nobody deciding; a late send is one recorded after the answer."""
    locked, (decisions, late) = _race(urls, settings, "locked", DecisionLog, recipients, deciders)
    _, (_, late_without) = _race(urls, settings, "unlocked", Unlocked, recipients, deciders)
    alone, _ = _race(urls, settings, "alone", DecisionLog, recipients, 0)
    return {
        "decisions": decisions,
        "opt_outs": len(locked.answered),
        "late_sends": late,
        "late_sends_without_lock": late_without,
        "opt_out_p50_ms": _percentile(locked, 50),
        "opt_out_p99_ms": _percentile(locked, 99),
        "opt_out_alone_p50_ms": _percentile(alone, 50),
        "opt_out_alone_p99_ms": _percentile(alone, 99),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _percentile(race: Race, percent: int) -> float:
    return round(float(np.percentile(race.waits_ms, percent)), 1)


def _race(
    urls: DatabaseUrls, settings: Settings, name: str, log: type[DecisionLog], recipients: int, deciders: int
) -> tuple[Race, tuple[int, int]]:
    keyring = Keyring.of(settings)
    slow, quick = Database(urls.app, keyring=keyring, pool_size=max(1, deciders)), Database(urls.app, keyring=keyring)
    dice = random.Random(SEED)  # noqa: S311 - load
    event.listen(slow.engine, "before_cursor_execute", lambda *_: time.sleep(dice.uniform(0, LONGEST_DELAY)))
    tenant = Tenants(quick, SecretBox.of(settings)).create(name, display_name=name, is_sandbox=True)[0]
    names = [f"r{number:05d}" for number in range(recipients)]
    MessageTypes(quick).publish(tenant, [MessageType.model_validate(NEWS)], actor="bench")
    # Nobody is to be spared by a cap: a send that is not made cannot be late.
    ContactBudgets(quick).publish(tenant, ContactBudget(), actor="bench")
    now = datetime.now(UTC)
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="bench", effective_at=now - timedelta(days=1)
    )
    consents = ConsentStore(quick)
    consents.record_many(tenant, {each: [given] for each in names}, actor="bench", now=now)
    # Every hour is open, so that a race at night races too.
    open_always = settings.model_copy(update={"holdout_share": 0.0, "quiet_hours_start": 8, "quiet_hours_end": 8})
    race = Race(tenant, Decider(log(slow), lambda: None, open_always), consents, names)
    race.run(deciders)
    counted = _counted(quick, tenant, race.answered)
    slow.close()
    quick.close()
    return race, counted


def _counted(database: Database, tenant: Tenant, answered: dict[str, datetime]) -> tuple[int, int]:
    """Return how many decisions there were and how many of them sent after the recipient's opt-out was answered."""
    sent = select(decision.c.subject_key, decision.c.recorded_at).where(decision.c.outcome == "send_now")
    with database.tenant(tenant.tenant) as connection:
        decisions = int(connection.execute(select(func.count()).select_from(decision)).scalar_one())
        late = sum(row.recorded_at > answered[row.subject_key] for row in connection.execute(sent))
    return decisions, late


if __name__ == "__main__":
    main()
