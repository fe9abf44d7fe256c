"""The eraser by itself: requests are carried out, kills change nothing, and what comes back goes again."""

import contextlib
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from adapters.clock import Clock, real_now
from adapters.embedded.postgres import start_postgres
from adapters.endpoints import Endpoints
from adapters.erasure_ledger import ErasureLedger
from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.personal_data import place_names
from adapters.personal_data.eraser import Eraser, places
from adapters.personal_data.online_place import OnlineFeatures
from adapters.personal_data.returning import Sweep, ask_again
from adapters.postgres.engine import Database
from adapters.postgres.erasures import Erasures
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.jobs import Jobs
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.suppressed_addresses import SuppressedAddresses
from adapters.postgres.tenants import Tenants
from adapters.settings import Settings, child_environment
from cli import first_start
from domain.identity import subject_key
from domain.ingest import parse
from domain.jobs import ItemResult, ItemVerdict
from domain.suppression import SuppressionCause
from domain.values import Channel
from serving.eraser import ErasureWorker
from tests.api import KEYS, settings_for
from tests.canaries import DAY, NOW, hits, mark, plant
from tests.erasure_process import MOMENTS
from tests.service_process import ROOT, until

GONE, STAYS = "person-gone", "person-gone-2"


@pytest.fixture
def planted(db, tenant, lake, redis):
    for who in (GONE, STAYS):
        plant(db, tenant, lake, redis, who)
    return tenant


@pytest.fixture
def ledger(tmp_path):
    return ErasureLedger(tmp_path / "ledger")


@pytest.fixture
def environment(tmp_path, databases, box, valkey):
    settings = settings_for(tmp_path, databases, box, redis_url=valkey.url)
    fields = settings.model_dump(include=settings.model_fields_set)
    given = {
        f"KAIROS_{name.upper()}": str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
        for name, value in fields.items()
    }
    return child_environment(given | {"PYTHONPATH": str(ROOT)})


class Later(Clock):
    """A clock that a test sets."""

    def __init__(self):
        self.moment = real_now()
        super().__init__(lambda: self.moment)


@pytest.fixture
def clock():
    return Later()


@pytest.fixture
def worker(db, planted, lake, redis, ledger, tmp_path, clock, box):
    return ErasureWorker(
        database=db,
        eraser=Eraser(db, places(lake, redis, tmp_path, box), ledger),
        sweep=Sweep(db, lake, OnlineFeatures(redis)),
        tenants=lambda: [planted],
        clock=lambda: clock,
    )


def late_event(db, tenant, who, event_id="late"):
    body = {"source": "crm", "event_id": event_id, "type": "app_opened", "recipient_id": who}
    item = parse(body | {"occurred_at": "2026-03-02T04:00:00Z", "properties": {"url": mark(who)}}, 0)
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    log.append(tenant, [item], origin="api", received_at=real_now(), now=NOW)


def test_a_request_is_carried_out_by_the_process_itself(db, planted, lake, redis, environment):
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    started = subprocess.Popen([sys.executable, "-m", "serving.eraser"], env=environment, cwd=ROOT)
    try:
        until(lambda: Erasures(db).get(planted, asked.erasure_id).finished_at is not None, "it is erased")
    finally:
        started.kill()
        started.wait()
    assert hits(db, planted, lake, redis, GONE) == set()
    assert hits(db, planted, lake, redis, STAYS) != set()


def test_processes_killed_at_every_place_leave_an_erasure_that_completes(db, planted, lake, redis, environment, worker):
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    argv = [sys.executable, "-m", "tests.erasure_process", planted.tenant, asked.erasure_id]
    done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    every = place_names.every()
    assert json.loads(done.stdout.splitlines()[-1]) == {"places": len(every), "killed": len(every) * len(MOMENTS)}
    half = Erasures(db).get(planted, asked.erasure_id)
    assert half.finished_at is None
    assert set(half.done) == set(every[:-1])
    worker.step()
    assert Erasures(db).get(planted, asked.erasure_id).finished_at is not None
    assert hits(db, planted, lake, redis, GONE) == set()


def test_a_restored_data_folder_is_put_right_before_anything_serves(tmp_path, box, valkey, redis):
    lake, ledger = Lake(tmp_path / "data" / "lake"), tmp_path / "elsewhere"
    lake.root.mkdir(parents=True)
    settings = Settings(
        data_dir=tmp_path / "data", erasure_ledger_dir=ledger, key_encryption_keys=KEYS, secret_key="s" * 32
    )
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start_postgres(tmp_path / "postgres", log=tmp_path / "log"))
        stack.callback(server.discard)
        urls = DatabaseUrls.embedded(server.admin_url, box)
        prepare(server.admin_url, urls)
        backup, tenant = planted_backup(tmp_path, urls, box, lake, redis, server)
        server = stack.enter_context(start_postgres(tmp_path / "postgres", log=tmp_path / "log"))
        urls = DatabaseUrls.embedded(server.admin_url, box)
        with opened(urls) as db:
            asked = Erasures(db).request(tenant, GONE, actor="test", now=NOW)
            Eraser(db, places(lake, redis, settings.data_dir, box), ErasureLedger.of(settings)).run(
                tenant, asked.erasure_id
            )
            assert hits(db, tenant, lake, redis, GONE) == set()
        server.stop()
        for folder, copy in ((server.folder, backup / "postgres"), (settings.data_dir, backup / "data")):
            shutil.rmtree(folder)
            subprocess.run(["cp", "-a", str(copy), str(folder)], check=True)
        server = stack.enter_context(start_postgres(tmp_path / "postgres", log=tmp_path / "log"))
        urls = DatabaseUrls.embedded(server.admin_url, box)
        with opened(urls) as db:
            assert {"event", "decision", "lake"} <= hits(db, tenant, lake, redis, GONE), "the backup knows them"
            where = Endpoints(databases=urls, redis_url=valkey.url, mlflow_url="", dagster_url="", api_url="")
            assert first_start.erase_again(settings, where, db, [tenant]) == 1
            assert hits(db, tenant, lake, redis, GONE) == set()
            assert {"event", "decision", "lake"} <= hits(db, tenant, lake, redis, STAYS)


@contextlib.contextmanager
def opened(urls):
    database = Database(urls.app, keyring=Keyring.given(KEYS))
    try:
        yield database
    finally:
        database.close()


def planted_backup(tmp_path, urls, box, lake, redis, server):
    """Plant canaries, stop the server, and copy its folder and the data folder."""
    with opened(urls) as db:
        tenant = Tenants(db, box).create("restored", display_name="r", time_zone="UTC", is_sandbox=True)[0]
        for who in (GONE, STAYS):
            plant(db, tenant, lake, redis, who)
    server.stop()
    backup = tmp_path / "backup"
    backup.mkdir()
    for folder, name in ((server.folder, "postgres"), (lake.root.parent, "data")):
        subprocess.run(["cp", "-a", str(folder), str(backup / name)], check=True)
    return backup, tenant


def test_what_an_asset_had_read_before_and_wrote_afterwards_goes_again(db, planted, lake, redis, worker, clock):
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    before = lake.read("events", day=DAY)
    worker.step()
    assert Erasures(db).get(planted, asked.erasure_id).finished_at is not None
    lake.write("events", before, day=DAY)
    pseudonyms = [subject_key(planted.subject_secret, who) for who in (GONE, STAYS)]
    lake.write("scores", pa.table({"tenant": [planted.tenant] * 2, "subject_key": pseudonyms}))
    assert hits(db, planted, lake, redis, GONE) == {"lake"}
    clock.moment += timedelta(minutes=2)
    worker.step()
    assert hits(db, planted, lake, redis, GONE) == set()
    assert lake.read("scores")["subject_key"].to_pylist() == pseudonyms[1:]
    assert "lake" in hits(db, planted, lake, redis, STAYS)
    assert worker.counts.swept_rows == 2
    clock.moment += timedelta(minutes=2)
    worker.step()
    assert worker.counts.swept_rows == 2


def test_online_features_that_a_run_writes_afterwards_go_again(db, planted, lake, redis, worker, clock):
    Erasures(db).request(planted, GONE, actor="test", now=NOW)
    worker.step()
    plant_online(redis, planted)
    clock.moment += timedelta(minutes=2)
    worker.step()
    assert "online_features" not in hits(db, planted, lake, redis, GONE)


def plant_online(redis, tenant):
    from adapters.feature_store import PROJECT
    from adapters.redis import online_store

    redis.hset(online_store.key(PROJECT, tenant.tenant, GONE), "row:v", mark(GONE))


def test_events_that_a_source_reports_later_are_erased_too(db, planted, lake, redis, worker, clock):
    Erasures(db).request(planted, GONE, actor="test", now=NOW)
    worker.step()
    late_event(db, planted, GONE)
    late_event(db, planted, STAYS, event_id="late-2")
    assert hits(db, planted, lake, redis, GONE) == {"event"}
    clock.moment = real_now() + timedelta(minutes=2)
    worker.step()
    assert worker.counts.came_back == 1
    worker.step()
    assert hits(db, planted, lake, redis, GONE) == set()
    assert "event" in hits(db, planted, lake, redis, STAYS)


def test_events_kept_on_a_ground_are_not_erased_later(db, planted, worker):
    Erasures(db).request(planted, GONE, actor="test", now=NOW, keep={"event": "legal hold 17", "lake": "legal hold 17"})
    worker.step()
    assert ask_again(db, planted, since=datetime(2020, 1, 1, tzinfo=UTC), now=NOW) == []


def test_a_job_that_names_the_person_ends_before_the_erasure_does(db, planted, worker):
    jobs = Jobs(db)
    jobs.submit(planted, "test.kind", total=1, payload={"recipient_ids": [GONE]}, actor="test")
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    worker.step()
    waiting = Erasures(db).get(planted, asked.erasure_id)
    assert waiting.finished_at is None
    assert set(place_names.every()) - set(waiting.done) == {"job"}
    claimed = jobs.claim(planted, ["test.kind"], now=real_now())
    verdict = [ItemResult(position=0, verdict=ItemVerdict.REFUSED, detail={})]
    jobs.advance(planted, claimed, lambda *_: verdict, chunk=1, now=real_now())
    worker.step()
    assert Erasures(db).get(planted, asked.erasure_id).finished_at is not None


def test_a_damaged_file_holds_up_its_own_erasure_and_no_other(db, planted, lake, worker, clock):
    damaged = lake.root / "events" / f"date={DAY}" / "part.parquet"
    whole = damaged.read_bytes()
    damaged.write_bytes(b"no parquet")
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    other = Erasures(db).request(planted, STAYS, actor="test", now=NOW, keep={"lake": "legal hold 18"})
    worker.step()
    assert Erasures(db).get(planted, asked.erasure_id).finished_at is None
    assert Erasures(db).get(planted, other.erasure_id).finished_at is not None
    assert worker.counts.faults == 1
    damaged.write_bytes(whole)
    clock.moment += timedelta(minutes=6)
    worker.step()
    assert Erasures(db).get(planted, asked.erasure_id).finished_at is not None


def test_the_addresses_of_an_erased_person_stay_on_the_suppression_list(db, planted):
    Erasures(db).request(planted, GONE, actor="test", now=NOW)
    late_event(db, planted, STAYS)
    addresses = SuppressedAddresses(db)
    assert addresses.find(planted, Channel.EMAIL, f"{GONE}@example.org").cause is SuppressionCause.ERASED
    assert addresses.find(planted, Channel.EMAIL, f"{STAYS}@example.org") is None
    assert addresses.addresses(planted, GONE, actor="test") == []


def test_an_event_that_says_deleted_lists_the_addresses_too(db, planted):
    event = {"source": "crm", "event_id": "d", "type": "recipient_deleted", "recipient_id": GONE}
    items = [parse(event | {"occurred_at": "2026-03-02T04:00:00Z"}, 0)]
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    log.append(planted, items, origin="api", received_at=NOW, now=NOW)
    found = SuppressedAddresses(db).find(planted, Channel.EMAIL, f"{GONE}@example.org")
    assert found.cause is SuppressionCause.ERASED


def test_listeners_are_told_of_the_deletion_and_of_nothing_before(db, planted, worker):
    from adapters.postgres.changes import ChangeFeed

    Erasures(db).request(planted, GONE, actor="test", now=NOW)
    ChangeFeed(db).publish(planted.tenant, limit=100)
    worker.step()
    with db.tenant(planted.tenant) as connection:
        rows = connection.execute(text("SELECT recipient_id, kind FROM recipient_change")).all()
    assert [row.kind for row in rows if row.recipient_id == GONE] == ["profile"]
    assert len([row for row in rows if row.recipient_id == STAYS]) > 1
