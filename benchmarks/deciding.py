"""Decisions on servers of their own, asked for at a steady rate: what measurements of faults stand on.

The decider is the service's own, with its breakers, its spool and who watches the servers; a scorer stands for a model.
PostgreSQL and Valkey are started for the measurement and removed after it.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from adapters import feature_store
from adapters.decision_spool import DecisionSpool
from adapters.embedded.postgres import start_postgres
from adapters.embedded.valkey import EmbeddedValkey, start_valkey
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore
from adapters.keyring import Keyring
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.migrate import prepare
from adapters.postgres.pulse import PostgresPulse
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.redis.client import connect
from adapters.secrets import SecretBox
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.message_types import MessageType
from domain.tenants import Tenant
from domain.values import Purpose
from serving.asks import Ask
from serving.breakers import Breaker, consent_store, online_features
from serving.decide import new_id
from serving.local_hooks import LocalHooks
from serving.pulse import EVERY_SECONDS, Pulse
from serving.spool_drain import SpoolDrain
from serving.steady import SteadyDecider
from tests.feature_tables import feature_table

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
RECIPIENTS = 200
THREADS = 4
PACED_THREADS = 16
"""As many as a service worker has: more decisions wait for nobody to take them up."""
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
    valkey: EmbeddedValkey
    write_features: Callable[[], None]


@dataclass(frozen=True)
class Answer:
    """One decision: when, in seconds since the hang, how long, and from which rung; ``rung`` is "none" without one."""

    at: float
    seconds: float
    rung: str


def one(bench: Bench, number: int, began: float, due: float | None = None) -> Answer:
    """Decide once, about a receipt every fourth time and about marketing otherwise; late is what is after ``due``."""
    kind = "receipt" if number % 4 == 0 else "fresh"
    wanted = {"recipient_id": f"r{number % RECIPIENTS}", "message": {"type": kind}}
    ask = Ask(new_id(), DecisionRequest.model_validate(wanted))
    start = time.perf_counter() if due is None else due
    try:
        (recorded,) = bench.decider.decide(bench.tenant, [ask], now=NOON, actor="bench")
        rung = recorded.answer["degraded"] or "fresh"
    except Unavailable:
        rung = "none"
    return Answer(start - began, time.perf_counter() - start, rung)


def load(bench: Bench, seconds: float, rate: float) -> list[Answer]:
    """Decide from a few threads: so many a second, or without pause when the rate is 0."""
    began = time.perf_counter()
    found: list[Answer] = []
    numbers = itertools.count()

    def loop() -> None:
        while True:
            number = next(numbers)
            due = began + number / rate if rate else time.perf_counter()
            if due >= began + seconds:
                return
            time.sleep(max(0.0, due - time.perf_counter()))
            found.append(one(bench, number, began, due))

    threads = [threading.Thread(target=loop) for _ in range(PACED_THREADS if rate else THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def told(bench: Bench, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return how many decisions were answered, how late and from which rung; times in milliseconds."""
    first = [each.seconds for each in answers if each.at < 1]
    then = [each.seconds for each in answers if each.at >= 1]
    rungs = Counter(each.rung for each in answers)
    return {
        "decisions": len(answers),
        "availability": round(1 - rungs["none"] / len(answers), 4),
        "p99_ms": _p99(first + then),
        "first_p99_ms": _p99(first),
        "then_p50_ms": round(1000 * float(np.quantile(then, 0.5)), 1),
        "then_p99_ms": _p99(then),
        "longest_ms": round(1000 * max(first + then), 1),
        "rungs": dict(rungs),
        "opened": {name: each.openings for name, each in bench.breakers.items()},
    }


def _p99(seconds: Sequence[float]) -> float:
    return round(1000 * float(np.quantile(seconds, 0.99)), 1)


def recovered(bench: Bench) -> float | None:
    """Return the seconds until a decision is fresh again and nothing waits in the spool; None when never."""
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < RECOVERED_WITHIN:
        try:
            bench.drain.work()
            if one(bench, 1, began).rung == "fresh":
                return round(now, 2)
        except Unavailable:
            pass
        time.sleep(0.05)
    return None


def _type(name: str, message_class: str) -> MessageType:
    content = {"email": {"subject": "s", "body": "b"}, "push": {"body": "b"}}
    variants = [{"id": "a", "content": content}]
    given = {"type": name, "class": message_class, "category": "c", "channels": ["email", "push"], "variants": variants}
    return MessageType.model_validate(given)


@contextmanager
def bench_of(
    folder: Path, *, is_watched: bool = True, line: Callable[[int], AbstractContextManager[int]] | None = None
) -> Iterator[Bench]:
    """Start a decider and its servers below an empty folder.

    Args:
        folder: where they live.
        is_watched: False leaves out who watches the servers.
        line: what decisions reach Valkey over: from its port, another one that leads there.
    """
    settings = Settings(data_dir=folder, holdout_share=0)
    box = SecretBox.of(settings)
    with (
        start_postgres(folder / "postgres", log=folder / "postgres.log") as postgres,
        start_valkey(folder / "valkey", log=folder / "valkey.log") as valkey,
        (line or nullcontext)(valkey.port) as port,
    ):
        urls = DatabaseUrls.embedded(postgres.admin_url, box)
        prepare(postgres.admin_url, urls)
        database = Database(urls.app, keyring=Keyring.of(settings), statement_timeout_ms=settings.postgres_timeout_ms)
        tenant = Tenants(database, box).create("shop", display_name="Shop")[0]
        _fill(database, tenant)
        over_line = valkey.url.replace(f":{valkey.port}/", f":{port}/")
        endpoints = Endpoints(databases=urls, redis_url=over_line, mlflow_url="", dagster_url="", api_url="")
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
            prices=lambda _tenant: None,
        )
        servers = {"redis": valkey.pid, "postgres": postgres.pid}
        pulses = _pulses(settings, endpoints, breakers) if is_watched else ()
        for each in pulses:
            each.start()
        drain = SpoolDrain(spool, log, Tenants(database, box))
        yield Bench(decider, drain, tenant, servers, breakers, valkey, lambda: _write_features(store, tenant))
        for each in pulses:
            each.stop()
        spool.close()
        database.close()
        postgres.discard()


def _pulses(settings: Settings, endpoints: Endpoints, breakers: dict[str, Breaker]) -> tuple[Pulse, ...]:
    postgres = PostgresPulse(endpoints.databases.app, seconds=settings.pulse_ms / 1000)
    valkey = connect(endpoints.redis_url, timeout_ms=settings.pulse_ms)
    return (
        Pulse(breakers["postgres"], postgres, postgres.close, every_seconds=EVERY_SECONDS),
        Pulse(breakers["redis"], valkey.ping, valkey.close, every_seconds=EVERY_SECONDS),
    )


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
    _write_features(shared, tenant)
    online = {"url": endpoints.redis_url, "timeout_ms": settings.redis_timeout_ms}
    store = FeatureStore(
        lambda: feature_store._shared(endpoints.databases.feast, online),  # noqa: SLF001 - with a decision's timeout
        lake=settings.lake_dir.absolute(),
    )
    store.warm_up()
    return store


def _write_features(store: FeatureStore, tenant: Tenant) -> None:
    names = [f"r{number}" for number in range(RECIPIENTS)]
    store.write(feature_table(tenant.tenant, names, NOON - timedelta(hours=1)))
