"""The event log on a real PostgreSQL: each event once, every item accounted for, nobody else's rows."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import insert, select, text

from adapters.clock import Clock
from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.event_archive import EventArchive
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.tables import event, event_key, outbox, profile
from adapters.postgres.tenants import Tenants
from domain.events import EVENT_COLUMNS
from domain.ingest import Counts, RejectionCode, parse
from tests.service_process import until

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RETENTION = timedelta(days=365)


def an_event(number=1, **changes):
    given = {
        "source": "shop",
        "event_id": f"e-{number}",
        "type": "purchase",
        "recipient_id": f"r-{number}",
        "occurred_at": "2026-03-02T03:00:00Z",
    }
    return given | changes


@pytest.fixture
def log(db):
    return EventLog(db, EventEffects(), retention=RETENTION)


@pytest.fixture
def append(log, tenant):
    def store(*events, origin="api", to=tenant):
        items = [parse(each, position) for position, each in enumerate(events)]
        return [answer.verdict for answer in log.append(to, items, origin=origin, received_at=Clock().real(), now=NOW)]

    return store


def stored_ids(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        return sorted(connection.execute(select(event.c.event_id)).scalars())


def test_every_item_of_a_batch_has_its_own_verdict_in_order(append, db, tenant):
    verdicts = append(an_event(1), an_event(2), an_event(1), an_event(1, session_id="s"), {"not": "one"})
    assert verdicts == ["stored", "stored", "duplicate", "conflict", "rejected"]
    assert stored_ids(db, tenant) == ["e-1", "e-2"]


def test_a_repeated_batch_changes_nothing_however_it_is_cut(append, db, tenant):
    assert set(append(*map(an_event, range(10)))) == {"stored"}
    assert set(append(*map(an_event, range(5, 12)))) == {"duplicate", "stored"}
    assert set(append(*map(an_event, range(12)))) == {"duplicate"}
    assert len(stored_ids(db, tenant)) == 12


def test_another_content_under_a_stored_id_is_kept_apart_as_a_dead_letter(append, db, tenant):
    append(an_event(1))
    assert append(an_event(1, value={"minor": 1, "currency": "USD"})) == ["conflict"]
    [letter] = DeadLetters(db).newest(tenant, actor="test")
    assert (letter.reason, letter.field, letter.origin) == (RejectionCode.CONFLICT, "event_id", "api")
    assert b'"minor":1' in letter.raw
    assert append(an_event(1)) == ["duplicate"]


def test_the_same_id_of_another_tenant_or_source_is_another_event(append, db, box, tenant):
    other = Tenants(db, box).create(f"{tenant.tenant}x", display_name="x")[0]
    assert append(an_event(1), an_event(1, source="crm")) == ["stored", "stored"]
    assert append(an_event(1, session_id="s"), to=other) == ["stored"]


def test_received_is_stored_plus_duplicate_plus_dead_and_stored_is_what_is_there(append, log, db, tenant):
    append(an_event(1), an_event(2), an_event(1), {"a": 1})
    append(an_event(2), an_event(3), an_event(3, session_id="s"), origin="file.jsonl")
    append({"a": 1})
    assert log.conservation(tenant.tenant) == Counts(received=8, stored=3, duplicate=2, dead=3)
    with db.tenant(tenant.tenant) as connection:
        there = [
            connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in ("event", "dead_letter")
        ]
    assert there == [3, 3]


def test_an_event_its_key_and_its_outbox_row_are_one_commit(append, db, tenant):
    append(an_event(1))
    with db.tenant(tenant.tenant) as connection:
        [key] = connection.execute(select(event_key)).all()
        [message] = connection.execute(select(outbox)).all()
    assert (key.event_id, len(key.digest)) == ("e-1", 32)
    assert (message.topic, message.key) == ("events", "r-1")
    assert message.payload == {
        "source": "shop",
        "event_id": "e-1",
        "recipient_id": "r-1",
        "type": "purchase",
        "occurred_at": "2026-03-02T03:00:00+00:00",
    }


@pytest.mark.parametrize(
    "moment", ["2026-03-02T12:05:01Z", "2025-03-02T11:59:59Z", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"]
)
def test_an_event_of_an_impossible_time_is_a_dead_letter(append, db, tenant, moment):
    assert append(an_event(occurred_at=moment)) == ["rejected"]
    assert DeadLetters(db).newest(tenant, actor="test")[0].reason == RejectionCode.UNTIMELY


def test_identical_batches_at_once_are_stored_exactly_once(log, db, tenant):
    items = [parse(an_event(number), number) for number in range(200)]
    batches = [items, items[::-1], items[100:] + items[:100], items]
    start = threading.Barrier(len(batches))

    def race(batch):
        start.wait()
        return log.append(tenant, batch, origin="api", received_at=NOW, now=NOW)

    with ThreadPoolExecutor(len(batches)) as pool:
        answers = [answer for batch in pool.map(race, batches) for answer in batch]
    assert Counts.of(answers) == Counts(received=800, stored=200, duplicate=600, dead=0)
    assert len(stored_ids(db, tenant)) == 200


def test_keys_are_claimed_in_order_so_that_no_two_batches_wait_for_each_other(log, db, tenant):
    claim = insert(event_key).values(tenant=tenant.tenant, source="shop", digest=b"", occurred_at=NOW)
    batch = [parse(an_event(number), number) for number in (9, 5, 1)]
    with ThreadPoolExecutor(1) as pool, db.tenant(tenant.tenant) as holder:
        holder.execute(claim.values(event_id="e-5"))
        waiting = pool.submit(log.append, tenant, batch, origin="api", received_at=NOW, now=NOW)
        until(lambda: someone_waits(db), "the batch waits for the key that is held")
        with db.engine.connect() as other:
            other.execute(text("SELECT set_config('kairos.tenant', :tenant, true)"), {"tenant": tenant.tenant})
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            # Would fail if the batch had claimed its first item first.
            other.execute(claim.values(event_id="e-9"))
            other.rollback()
        holder.rollback()
        assert {answer.verdict for answer in waiting.result()} == {"stored"}


def someone_waits(db):
    with db.begin() as connection:
        return connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one()


def test_the_first_events_of_a_day_may_come_from_many_at_once(db, tenant):
    # Each has its own log, as each worker process has, so that none knows the day yet.
    logs = [EventLog(db, EventEffects(), retention=RETENTION) for _ in range(8)]
    for day in range(1, 9):
        start = threading.Barrier(len(logs))

        def store(number, start=start, day=day):
            start.wait()
            item = parse(an_event(f"{day}-{number}", recipient_id="r", occurred_at=f"2025-09-0{day}T00:00:00Z"), 0)
            return logs[number].append(tenant, [item], origin="api", received_at=NOW, now=NOW)[0].verdict

        with ThreadPoolExecutor(len(logs)) as pool:
            assert set(pool.map(store, range(len(logs)))) == {"stored"}


def test_local_time_is_the_profiles_else_the_events_else_the_tenants(append, db, log, tenant):
    with db.tenant(tenant.tenant) as connection:
        row = {"tenant": tenant.tenant, "version": 1}
        connection.execute(insert(profile).values(row | {"recipient_id": "known", "time_zone": "Asia/Tokyo"}))
        connection.execute(insert(profile).values(row | {"recipient_id": "unsure", "time_zone": None}))
    paris, nowhere = {"time_zone": "Europe/Paris"}, {"time_zone": "../etc/passwd"}
    append(
        an_event(1, recipient_id="known", context=paris),
        an_event(2, recipient_id="unsure", context=paris),
        an_event(3, recipient_id="new", context=nowhere),
    )
    frame = log.recent(tenant.tenant, ["known", "unsure", "new"], NOW - timedelta(days=2), NOW)
    local = {row.recipient_id: (row.local_hour_of_week, row.local_date) for row in frame.itertuples()}
    assert local == {
        "known": (12, date(2026, 3, 2)),
        "unsure": (4, date(2026, 3, 2)),
        "new": (6 * 24 + 22, date(2026, 3, 1)),
    }


def test_a_frame_has_the_fixed_columns_and_types_also_when_empty(append, log, tenant):
    append(
        an_event(1, value={"minor": 2**62, "currency": "USD"}, properties={"category": "MEAT", "n": [1]}),
        an_event(8, recipient_id="r-1"),
    )
    full = log.recent(tenant.tenant, ["r-1"], NOW - timedelta(days=2), NOW)
    empty = log.recent(tenant.tenant, [], NOW - timedelta(days=2), NOW)
    assert tuple(full.columns) == EVENT_COLUMNS
    assert full.dtypes.equals(empty.dtypes)
    assert str(full.occurred_at.dtype) == "datetime64[us, UTC]"
    first = full.iloc[0]
    assert (first.value_minor, first.category, first.properties) == (2**62, "MEAT", '{"n": [1], "category": "MEAT"}')
    assert full.value_minor.isna().tolist() == [False, True]


def test_recent_takes_events_from_since_on_and_before_until(append, log, tenant):
    append(*(an_event(n, recipient_id="r", occurred_at=f"2026-03-02T0{n}:00:00Z") for n in (1, 2, 3)))
    found = log.recent(tenant.tenant, ["r"], datetime(2026, 3, 2, 1, tzinfo=UTC), datetime(2026, 3, 2, 3, tzinfo=UTC))
    assert found.event_id.tolist() == ["e-1", "e-2"]


def test_the_archive_reads_days_of_every_tenant_only_through_the_batch_role(append, db, batch_db, tenant):
    append(an_event(1, occurred_at="2025-12-31T23:59:59.999999Z"), an_event(2, occurred_at="2026-01-01T00:00:00Z"))
    archive, days = EventArchive(batch_db), [date(2025, 12, 31), date(2026, 1, 1)]
    assert set(days) <= set(archive.days())
    ours = {day: frame[frame.tenant == tenant.tenant].event_id.tolist() for day, frame in archive.read(days)}
    assert ours == {days[0]: ["e-1"], days[1]: ["e-2"]}
    assert EventArchive(db).days() == []


def test_amounts_are_exact_beside_events_that_have_none(append, log, tenant):
    amounts = [2**63 - 1, 2**53 + 1, None]
    append(
        *(
            an_event(n, recipient_id="r", **({"value": {"minor": a, "currency": "USD"}} if a else {}))
            for n, a in enumerate(amounts)
        )
    )
    found = log.recent(tenant.tenant, ["r"], NOW - timedelta(days=2), NOW)
    assert {None if pd.isna(each) else int(each) for each in found.value_minor} == set(amounts)


def test_without_a_tenant_the_application_sees_no_event_and_can_store_none(append, db):
    append(an_event(1))
    with db.begin() as connection:
        for table in ("event", "event_key", "outbox", "dead_letter", "ingest_batch"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0


@pytest.mark.parametrize(
    "word", ["'; DROP TABLE event; --", "=1+1", "@SUM(A1)", "../../x", "a:b*?[c]", "{{7*7}}", "\u0416\U0001f600"]
)
def test_what_looks_like_code_is_stored_as_it_is_written(append, log, tenant, word):
    assert append(an_event(1, recipient_id=word, properties={word: word})) == ["stored"]
    [row] = log.recent(tenant.tenant, [word], NOW - timedelta(days=2), NOW).itertuples()
    assert row.recipient_id == word
