"""Exports: everything of the person, nothing of another, whatever is killed, however much it is, and fetched once."""

import json
import subprocess
import sys
from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from adapters.clock import real_now
from adapters.erasure_ledger import ErasureLedger
from adapters.personal_data import export_sources
from adapters.personal_data.eraser import Eraser, places
from adapters.personal_data.export_place import path_of
from adapters.personal_data.exporter import Exporter, sealed_file, sources
from adapters.postgres.erasures import Erasures
from adapters.postgres.exports import Exports, NotReady
from adapters.postgres.merges import Merges
from adapters.postgres.schema import metadata
from adapters.postgres.subject_keys import KeyDestroyed
from adapters.secrets import CannotOpen
from assets.steps.scoring_days import TABLE as SCORES
from domain.exports import KEPT_FOR, PORTABLE, ExportKind, ExportState
from serving.export_worker import ExportWorker
from tests.api import settings_for
from tests.canaries import NOW, mark, plant
from tests.service_process import ROOT

WHO, OTHER = "person-gone", "person-gone-2"
MOST_MEMORY = 50_000_000
SUBJECT_BYTES = 100_000_000


@pytest.fixture
def planted(db, tenant, lake, redis):
    for who in (WHO, OTHER):
        plant(db, tenant, lake, redis, who)
    return tenant


@pytest.fixture
def store(db, box):
    return Exports(db, box)


@pytest.fixture
def exporter(store, lake, redis, tmp_path, box):
    return Exporter(store, sources(lake, redis, tmp_path, box), tmp_path)


@pytest.fixture
def environment(tmp_path, databases, box, valkey):
    from adapters.settings import child_environment

    settings = settings_for(tmp_path, databases, box, redis_url=valkey.url)
    fields = settings.model_dump(include=settings.model_fields_set)
    given = {
        f"KAIROS_{name.upper()}": str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
        for name, value in fields.items()
    }
    return child_environment(given)


def write(exporter, tenant, export_id):
    while exporter.step(tenant, export_id):
        pass


def fetched(store, tenant, export_id, data_dir):
    """Return the file's text as whoever follows the link gets it."""
    token, _ = store.link(tenant, export_id, actor="test", now=real_now())
    found = store.fetch(tenant, token, actor="test", now=real_now())
    return b"".join(sealed_file(data_dir, tenant.tenant, export_id, found.key).pieces(found.chunks)).decode()


def test_what_was_kept_under_a_merged_id_is_in_the_copy_too(planted, db, store, exporter, tmp_path):
    Merges(db).merge(planted, WHO, OTHER, reason="same login", actor="test", now=real_now())
    asked = store.request(planted, WHO, ExportKind.ACCESS, actor="test")
    write(exporter, planted, asked.export_id)
    text_ = fetched(store, planted, asked.export_id, tmp_path)
    document = json.loads(text_)
    theirs = stores_with(document, mark(OTHER))
    assert {"event", "consent_record", "dead_letter", "lake", "online_features"} <= theirs
    assert {"event", "consent_record", "dead_letter", "lake", "online_features"} <= stores_with(document, mark(WHO))


def stores_with(document, canary):
    return {record["store"] for record in document["@graph"] if canary in json.dumps(record)}


def test_an_access_export_has_every_canary_of_the_person_and_none_of_another(planted, store, exporter, tmp_path):
    asked = store.request(planted, WHO, ExportKind.ACCESS, actor="test")
    write(exporter, planted, asked.export_id)
    text_ = fetched(store, planted, asked.export_id, tmp_path)
    document = json.loads(text_)
    assert mark(OTHER) not in text_
    assert '"kept"' not in text_, "a row of another tenant that names the same person"
    assert OTHER not in text_
    assert {
        "event", "profile", "profile_version", "consent_record", "decision", "decision_contest", "dead_letter",
        "audit", "lake", "mlflow_artifacts", "online_features", "follow_up",
    } == stores_with(document, mark(WHO))  # fmt: skip
    by_file = [each for each in document["@graph"] if each["store"] == "lake"]
    assert sorted(each["file"].partition("/")[0] for each in by_file) == ["events", SCORES, "quarantine"]
    assert len([each for each in document["@graph"] if each["store"] == "mlflow_artifacts"]) == 4
    assert store.get(planted, asked.export_id).records == len(document["@graph"])


def test_a_portability_export_is_json_ld_of_what_the_person_gave(planted, store, exporter, tmp_path):
    asked = store.request(planted, WHO, ExportKind.PORTABILITY, actor="test")
    write(exporter, planted, asked.export_id)
    document = json.loads(fetched(store, planted, asked.export_id, tmp_path))
    assert document["@context"]["city"] == "schema:addressLocality"
    assert {each["store"] for each in document["@graph"]} <= set(PORTABLE)
    assert stores_with(document, mark(WHO)) == {"event", "profile", "consent_record"}
    assert mark(OTHER) not in json.dumps(document)
    [profile] = [each for each in document["@graph"] if each["@type"] == "Profile"]
    assert profile["profile"]["city"] == mark(WHO)


def test_every_table_that_names_a_person_is_exported_or_says_why_not():
    named = {each.name for each in metadata.sorted_tables if {"recipient_id", "subject_key"} & set(each.c.keys())}
    exported = {source.name for source in export_sources.tables()}
    assert named == exported | (export_sources.LEFT_OUT.keys() & named)
    assert named >= export_sources.LEFT_OUT.keys()


def test_an_export_killed_after_every_page_is_the_same_as_one_that_was_not(
    planted, store, exporter, environment, tmp_path, db
):
    with db.tenant(planted.tenant) as connection:
        connection.execute(_EVENTS, {"tenant": planted.tenant, "who": WHO, "count": 250, "size": 1})
    whole, broken = (store.request(planted, WHO, ExportKind.PORTABILITY, actor="test") for _ in range(2))
    write(exporter, planted, whole.export_id)
    argv = [sys.executable, "-m", "tests.export_process", "killed", planted.tenant, broken.export_id]
    done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["killed"] >= len(PORTABLE) + 2
    assert store.get(planted, broken.export_id).state is ExportState.READY
    first, second = (fetched(store, planted, each.export_id, tmp_path) for each in (whole, broken))
    assert json.loads(first) == json.loads(second)
    assert len([each for each in json.loads(first)["@graph"] if each["store"] == "event"]) == 251


def test_a_subject_of_a_hundred_megabytes_takes_less_than_fifty_of_memory(
    planted, store, environment, tmp_path, db, lake, capsys
):
    with db.tenant(planted.tenant) as connection:
        count = SUBJECT_BYTES // 2 // 1_000
        connection.execute(_EVENTS, {"tenant": planted.tenant, "who": WHO, "count": count, "size": 31})
        rows = connection.execute(text("SELECT properties->>'p' FROM event WHERE source = 'many'")).scalars().all()
    lake.write(
        "features",
        pa.table({"tenant": [planted.tenant] * count, "recipient_id": [WHO] * count, "p": rows}),
    )
    del rows
    small, asked = (store.request(planted, who, ExportKind.ACCESS, actor="test") for who in (OTHER, WHO))
    program = [sys.executable, "-m", "tests.export_process"]
    argv = [*program, "measured", planted.tenant, small.export_id, asked.export_id]
    done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    growth = json.loads(done.stdout.splitlines()[-1])["growth"]
    standing = store.get(planted, asked.export_id)
    assert standing.state is ExportState.READY
    assert standing.bytes > SUBJECT_BYTES
    assert standing.records > 2 * count
    with capsys.disabled():
        sys.stdout.write(f"\nexport of {standing.bytes / 1e6:.0f} MB: memory grew by {growth / 1e6:.1f} MB\n")
    assert growth < MOST_MEMORY


def test_a_link_fetches_once_and_an_earlier_one_not_at_all(planted, store, exporter):
    asked = store.request(planted, WHO, ExportKind.PORTABILITY, actor="test")
    with pytest.raises(NotReady):
        store.link(planted, asked.export_id, actor="test", now=real_now())
    write(exporter, planted, asked.export_id)
    now = real_now()
    first, until = store.link(planted, asked.export_id, actor="test", now=now)
    second, _ = store.link(planted, asked.export_id, actor="test", now=now)
    assert until - now <= KEPT_FOR
    assert store.fetch(planted, first, actor="test", now=now) is None
    assert store.fetch(planted, second + "x", actor="test", now=now) is None
    assert store.fetch(planted, second, actor="test", now=until) is None
    assert store.fetch(planted, second, actor="test", now=now) is not None
    assert store.fetch(planted, second, actor="test", now=now) is None
    assert store.tenant_of(second) is None
    with pytest.raises(NotReady):
        store.link(planted, asked.export_id, actor="test", now=now)


def test_the_database_holds_no_link_that_could_be_followed(db, planted, store, exporter):
    asked = store.request(planted, WHO, ExportKind.PORTABILITY, actor="test")
    write(exporter, planted, asked.export_id)
    token, _ = store.link(planted, asked.export_id, actor="test", now=real_now())
    with db.tenant(planted.tenant) as connection:
        row = connection.execute(text("SELECT e::text AS all, link_digest FROM data_export e")).one()
    assert token not in row.all
    assert token.encode() not in bytes(row.link_digest)


def test_a_file_is_sealed_and_gone_when_nobody_fetched_it_in_time(planted, store, exporter, tmp_path):
    asked = store.request(planted, WHO, ExportKind.ACCESS, actor="test")
    moment = real_now()
    worker = ExportWorker(store, exporter, lambda: [planted], now=lambda: moment)
    while store.get(planted, asked.export_id).state is not ExportState.READY:
        worker.step()
    path = path_of(tmp_path, asked.export_id)
    raw = path.read_bytes()
    assert mark(WHO).encode() not in raw
    assert WHO.encode() not in raw
    assert path.stat().st_mode & 0o077 == 0
    moment += KEPT_FOR + timedelta(minutes=1)
    worker.step()
    assert not path.exists()
    assert store.get(planted, asked.export_id).state is ExportState.EXPIRED
    assert worker.counts.exported == worker.counts.expired == 1


def test_a_changed_or_cut_file_is_not_read(planted, store, exporter, tmp_path):
    asked = store.request(planted, WHO, ExportKind.PORTABILITY, actor="test")
    write(exporter, planted, asked.export_id)
    path = path_of(tmp_path, asked.export_id)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CannotOpen):
        fetched(store, planted, asked.export_id, tmp_path)


@pytest.mark.parametrize("pages", [0, 1, 5, 100])
def test_an_erasure_cancels_an_export_wherever_it_is(db, planted, lake, redis, store, exporter, tmp_path, box, pages):
    asked = store.request(planted, WHO, ExportKind.ACCESS, actor="test")
    for _ in range(pages):
        exporter.step(planted, asked.export_id)
    token = store.link(planted, asked.export_id, actor="test", now=real_now())[0] if pages == 100 else ""
    erasure = Erasures(db).request(planted, WHO, actor="test", now=NOW)
    assert store.get(planted, asked.export_id).state is ExportState.CANCELLED
    assert exporter.step(planted, asked.export_id) is False
    assert store.fetch(planted, token, actor="test", now=real_now()) is None
    Eraser(db, places(lake, redis, tmp_path, box), ErasureLedger(tmp_path / "l")).run(planted, erasure.erasure_id)
    assert not path_of(tmp_path, asked.export_id).exists()
    assert store.open(planted) == []
    with pytest.raises(KeyDestroyed):
        store.request(planted, WHO, ExportKind.ACCESS, actor="test")


_EVENTS = text("""
INSERT INTO event (tenant, source, event_id, type, occurred_at, received_at, recipient_id, local_hour_of_week,
    local_date, properties)
SELECT :tenant, 'many', 'm' || n, 'page_viewed', '2026-03-02T05:00:00Z', now(), :who, 5, '2026-03-02',
    jsonb_build_object('p', (SELECT string_agg(md5(n::text || '/' || i::text), '') FROM generate_series(1, :size) i))
FROM generate_series(1, :count) n
""")
"""Events of one person, each with ``size`` times 32 random characters."""
