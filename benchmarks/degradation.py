"""Decisions while servers hang: how many are answered, how late and from which rung, one at a time and together.

A closed loop of a few threads decides without pause. ``first`` is the first second after a server hangs, ``then`` the
rest, when the breakers are open. MLflow is not on the way of a decision: it is down all the time. ``--json`` prints one
object on the last line. PostgreSQL and Valkey are started for the measurement and removed after it.
"""

import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from adapters import feature_store
from adapters.decision_spool import DecisionSpool
from adapters.embedded.postgres import start_postgres
from adapters.embedded.valkey import start_valkey
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore
from adapters.keyring import Keyring
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from benchmarks.arguments import parsed
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.message_types import MessageType
from domain.tenants import Tenant
from domain.values import Purpose
from serving import logs
from serving.asks import Ask
from serving.breakers import Breaker, consent_store, online_features
from serving.decide import new_id
from serving.local_hooks import LocalHooks
from serving.spool_drain import SpoolDrain
from serving.steady import SteadyDecider
from tests.feature_tables import feature_table
from tests.pausing import paused

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
RECIPIENTS = 200
THREADS = 4
RECOVERED_WITHIN = 60.0


class _Scorer:
    """Stands for a fitted model: the reading of its features is what is measured."""

    features = ("login_count_30d", "channel_code")
    vocabularies = {"channel": ("email", "push")}  # noqa: RUF012 - as a scorer has them

    def score(self, matrix: Any) -> Any:
        """Return the same chance for every row."""
        return np.full(len(matrix), 0.05)


@dataclass
class Bench:
    """A decider, and the servers it stands on."""

    decider: SteadyDecider
    drain: SpoolDrain
    tenant: Tenant
    servers: dict[str, int]
    breakers: dict[str, Breaker]


@dataclass(frozen=True)
class Answer:
    """One decision: when, in seconds since the hang, how long, and from which rung; ``rung`` is "none" without one."""

    at: float
    seconds: float
    rung: str


def _one(bench: Bench, number: int, began: float) -> Answer:
    """Decide once: about a receipt every fourth time, about marketing otherwise."""
    kind = "receipt" if number % 4 == 0 else "fresh"
    wanted = {"recipient_id": f"r{number % RECIPIENTS}", "message": {"type": kind}}
    ask = Ask(new_id(), DecisionRequest.model_validate(wanted))
    start = time.perf_counter()
    try:
        (recorded,) = bench.decider.decide(bench.tenant, [ask], now=NOON, actor="bench")
        rung = recorded.answer["degraded"] or "fresh"
    except Unavailable:
        rung = "none"
    return Answer(start - began, time.perf_counter() - start, rung)


def _load(bench: Bench, seconds: float) -> list[Answer]:
    """Decide from a few threads, without pause."""
    began = time.perf_counter()
    found: list[list[Answer]] = [[] for _ in range(THREADS)]

    def loop(place: int) -> None:
        number = place
        while time.perf_counter() - began < seconds:
            found[place].append(_one(bench, number, began))
            number += THREADS

    threads = [threading.Thread(target=loop, args=(place,)) for place in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return [answer for each in found for answer in each]


def _recovered(bench: Bench) -> float | None:
    """Return the seconds until a decision is fresh again and nothing waits in the spool; None when never."""
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < RECOVERED_WITHIN:
        try:
            bench.drain.work()
            if _one(bench, 1, began).rung == "fresh":
                return round(now, 2)
        except Unavailable:
            pass
        time.sleep(0.05)
    return None


def _measured(bench: Bench, stopped: Sequence[str], seconds: float) -> dict[str, Any]:
    with ExitStack() as stack:
        for name in stopped:
            stack.enter_context(paused(bench.servers[name]))
        answers = _load(bench, seconds)
    first = [each.seconds for each in answers if each.at < 1]
    then = [each.seconds for each in answers if each.at >= 1]
    rungs = Counter(each.rung for each in answers)
    return {
        "stopped": "+".join(stopped) or "nothing",
        "decisions": len(answers),
        "availability": round(1 - rungs["none"] / len(answers), 4),
        "first_p99_ms": _p99(first),
        "then_p50_ms": round(1000 * float(np.quantile(then, 0.5)), 1),
        "then_p99_ms": _p99(then),
        "longest_ms": round(1000 * max(first + then), 1),
        "rungs": dict(rungs),
        "opened": {name: each.openings for name, each in bench.breakers.items()},
        "recovered_s": _recovered(bench),
    }


def _p99(seconds: Sequence[float]) -> float:
    return round(1000 * float(np.quantile(seconds, 0.99)), 1)


def main() -> None:
    """Measure, and print."""
    asked = parsed(__doc__, seconds=(10.0, "of load in each state"))
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="kairos-degradation-") as folder, _bench(Path(folder)) as bench:
        _load(bench, 2.0)
        states: list[tuple[str, ...]] = [(), ("redis",), ("postgres",), ("redis", "postgres")]
        found = [_measured(bench, each, asked.seconds) for each in states]
    for each in found:
        print(each)
    if asked.json:
        print(json.dumps({"threads": THREADS, "states": found}))


def _type(name: str, message_class: str) -> MessageType:
    content = {"email": {"subject": "s", "body": "b"}, "push": {"body": "b"}}
    variants = [{"id": "a", "content": content}]
    given = {"type": name, "class": message_class, "category": "c", "channels": ["email", "push"], "variants": variants}
    return MessageType.model_validate(given)


@contextmanager
def _bench(folder: Path) -> Iterator[Bench]:
    settings = Settings(data_dir=folder, holdout_share=0)
    box = SecretBox.of(settings)
    with (
        start_postgres(folder / "postgres", log=folder / "postgres.log") as postgres,
        start_valkey(folder / "valkey", log=folder / "valkey.log") as valkey,
    ):
        urls = DatabaseUrls.embedded(postgres.admin_url, box)
        prepare(postgres.admin_url, urls)
        database = Database(urls.app, keyring=Keyring.of(settings), statement_timeout_ms=settings.postgres_timeout_ms)
        tenant = Tenants(database, box).create("shop", display_name="Shop")[0]
        _fill(database, tenant)
        endpoints = Endpoints(databases=urls, redis_url=valkey.url, mlflow_url="", dagster_url="", api_url="")
        store = _features(FeatureStore.of(settings, endpoints), endpoints, settings, tenant)
        model = SimpleNamespace(
            name="engagement", version="1", digest="d", run_id="r", feature_service="engagement_v1",
            scorer=_Scorer(), store=store,
        )  # fmt: skip
        spool, log = DecisionSpool.of(settings, box), DecisionLog(database)
        breakers = {"redis": online_features(), "postgres": consent_store()}
        decider = SteadyDecider(
            log,
            lambda: model,
            settings,
            features=breakers["redis"],
            spool=spool,
            store=breakers["postgres"],
            hooks=LocalHooks(),
        )
        servers = {"redis": valkey.pid, "postgres": postgres.pid}
        yield Bench(decider, SpoolDrain(spool, log, Tenants(database, box)), tenant, servers, breakers)
        spool.close()
        database.close()
        postgres.discard()


def _fill(database: Database, tenant: Tenant) -> None:
    MessageTypes(database).publish(tenant, [_type("fresh", "marketing"), _type("receipt", "transactional")], actor="b")
    ContactBudgets(database).publish(tenant, ContactBudget(), actor="b")
    given = [
        ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="b", effective_at=NOON)
        for each in (Purpose.MARKETING, Purpose.PERSONALIZATION)
    ]
    for number in range(RECIPIENTS):
        ConsentStore(database).record(tenant, f"r{number}", given, actor="b", now=NOON)


def _features(shared: FeatureStore, endpoints: Endpoints, settings: Settings, tenant: Tenant) -> FeatureStore:
    """Write a row for everybody, and return the store that waits as long as a decision does."""
    shared.apply()
    names = [f"r{number}" for number in range(RECIPIENTS)]
    shared.write(feature_table(tenant.tenant, names, NOON - timedelta(hours=1)))
    online = {"url": endpoints.redis_url, "timeout_ms": settings.redis_timeout_ms}
    store = FeatureStore(
        lambda: feature_store._shared(endpoints.databases.feast, online),  # noqa: SLF001 - with a decision's timeout
        lake=settings.lake_dir.absolute(),
    )
    store.warm_up()
    return store


if __name__ == "__main__":
    main()
