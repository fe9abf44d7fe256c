"""Canaries: a value of one person in every store, and a search of every store for it, whoever could read it."""

import csv
import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import text

from adapters.feature_store import PROJECT
from adapters.postgres import changes
from adapters.postgres.consent import ConsentStore
from adapters.postgres.contests import Contests
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.objections import Objections
from adapters.postgres.profiles import Profiles
from adapters.postgres.schema import metadata
from adapters.postgres.suppressed_addresses import SuppressedAddresses
from adapters.redis import online_store
from assets.steps.scoring_days import TABLE as SCORES
from domain.changes import ChangeKind
from domain.consent import ConsentChange, ConsentStatus
from domain.identity import subject_key
from domain.ingest import parse, read
from domain.objections import ObjectionKind
from domain.profiles import Profile
from domain.values import Channel, Purpose

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = date(2026, 3, 2)
CANARY = "canary-7f3a"
OTHER = "person-gone"
"""Whose rows of another tenant stand beside everybody's."""


def mark(who):
    return f"{CANARY}:{who}:"


def plant(db, tenant, lake, redis, who):
    """Plant a canary of a person in every store."""
    event = {"source": "app", "event_id": f"e-{who}", "type": "page_viewed", "recipient_id": who}
    event |= {"occurred_at": "2026-03-02T03:00:00Z", "properties": {"url": mark(who)}}
    broken = event | {"event_id": f"b-{who}", "type": "no such type"}
    torn = f'{{"recipient_id": "{who}", {mark(who)}'.encode()
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    items = [parse(each, position) for position, each in enumerate((event, broken))]
    items.append(read(torn, 2))
    verdicts = [each.verdict for each in log.append(tenant, items, origin="api", received_at=NOW, now=NOW)]
    assert verdicts[0] == "stored"
    assert verdicts[1] != "stored"
    Profiles(db).put(tenant, who, Profile(city=mark(who)), actor="test")
    given = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="f", proof={"at": mark(who)})
    ConsentStore(db).record(tenant, who, [given], actor="test", now=NOW)
    with db.tenant(tenant.tenant) as connection:
        connection.execute(
            _DECISION, {"t": tenant.tenant, "s": subject_key(tenant.subject_secret, who), "canary": f'"{mark(who)}"'}
        )
        connection.execute(_FOLLOW_UP, {"t": tenant.tenant, "who": who, "canary": mark(who)})
    rows = pa.table(
        {"tenant": [tenant.tenant, "other"], "recipient_id": [who, OTHER], "properties": [mark(who), "kept"]}
    )
    both = pa.concat_tables([lake.read("events", day=DAY), rows]) if lake.exists("events", day=DAY) else rows
    lake.write("events", both, day=DAY, notes={"since": "2020"})
    lake.quarantine("events", DAY, "claim", both)
    plant_scores(lake, tenant, who)
    redis.hset(online_store.key(PROJECT, tenant.tenant, who), "row:v", mark(who))
    SuppressedAddresses(db).set_address(tenant, who, Channel.EMAIL, f"{who}@example.org", actor="test")
    with db.tenant(tenant.tenant) as connection:
        changes.announce(connection, tenant.tenant, ChangeKind.ALLOWANCES, {who: 1})
    decision = subject_key(tenant.subject_secret, who)
    Contests(db).open(tenant, decision, statement=mark(who), source="test", actor="test")
    Objections(db).record(tenant, who, ObjectionKind.PROFILING, source="test", actor="test", now=NOW)
    plant_artifacts(lake.root.parent / "mlartifacts", tenant, who)


def plant_scores(lake, tenant, who):
    """Plant what a batch of scores says of a person, beside what it says of others."""
    scores = pa.Table.from_pylist([{"tenant": tenant.tenant, "recipient_id": who, "channel": mark(who), "score": 0.5}])
    if lake.exists(SCORES, day=DAY):
        scores = pa.concat_tables([lake.read(SCORES, day=DAY), scores])
    lake.write(SCORES, scores, day=DAY)


def plant_artifacts(folder, tenant, who):
    """Plant what somebody's own run may log: tables as CSV, JSON, JSON lines and Parquet."""
    folder.mkdir(exist_ok=True)
    row = {"tenant": tenant.tenant, "recipient_id": who, "note": mark(who)}
    with (folder / "rows.csv").open("a", newline="") as file:
        csv.writer(file).writerows(([] if file.tell() else [list(row)]) + [list(row.values())])
    with (folder / "rows.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    tables = folder / "table.json"
    held = json.loads(tables.read_text()) if tables.exists() else {"columns": list(row), "data": []}
    tables.write_text(json.dumps(held | {"data": [*held["data"], list(row.values())]}))
    rows = pa.Table.from_pylist([row])
    path = folder / "rows.parquet"
    pq.write_table(pa.concat_tables([pq.read_table(path), rows]) if path.exists() else rows, path)


def hits(db, tenant, lake, redis, who):
    """Return every place in which the canary of a person is found, whoever could read it."""
    wanted = mark(who)
    found = set()
    with db.tenant(tenant.tenant) as connection:
        for table in metadata.sorted_tables:
            dump = connection.execute(text(f"SELECT string_agg(t::text, '|') FROM {table.name} t")).scalar() or ""
            if wanted in dump or wanted.encode().hex() in dump:
                found.add(table.name)
    found |= {"lake" for path in lake.files() if wanted.encode() in _plain(path)}
    found |= {
        "online_features" for each in redis.hvals(online_store.key(PROJECT, tenant.tenant, who)) if wanted in str(each)
    }
    artifacts = (lake.root.parent / "mlartifacts").iterdir()
    read_in = [_plain(each) if each.suffix == ".parquet" else each.read_bytes() for each in artifacts]
    found |= {"mlflow_artifacts" for each in read_in if wanted.encode() in each}
    return found


def _plain(path):
    return str(pq.read_table(path).to_pylist()).encode()


_DECISION = text("""
INSERT INTO decision (tenant, decision_id, subject_key, request_fingerprint, decided_at, outcome, message_type, reason,
    action_probability, is_holdout, consent_version, record, answer)
VALUES (:t, :s, :s, '', now(), 'suppress', 'news', 'policy.chose_nothing', 1, false, 1, CAST(:canary AS jsonb), '{}')
""")

_FOLLOW_UP = text("""
INSERT INTO follow_up (tenant, decision_id, root_id, recipient_id, kind, message_type, campaign_id, due_at, expires_at)
VALUES (:t, :who, :who, :who, 'deferral', 'news', :canary, now(), now() + interval '1 day')
""")
