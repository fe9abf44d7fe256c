"""Anonymizing: what somebody did stays for aggregates, who they were is gone everywhere, and nothing leads back."""

from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from adapters.erasure_ledger import ErasureLedger
from adapters.personal_data import place_names
from adapters.personal_data.eraser import Eraser, places
from adapters.personal_data.lake_place import EVENTS
from adapters.postgres.consent import ConsentStore
from adapters.postgres.erasures import Erasures, Mode
from assets.steps import event_days
from domain.identity import subject_key
from tests.canaries import DAY, NOW, hits, mark, plant

WHO, STAYS = "person-gone", "person-gone-2"


@pytest.fixture
def planted(db, tenant, lake, redis):
    for who in (WHO, STAYS):
        plant(db, tenant, lake, redis, who)
    lake.write(EVENTS, lake_events(tenant), day=DAY)
    return tenant


def lake_events(tenant):
    row = {"tenant": tenant.tenant, "source": "app", "type": "page_viewed", "session_id": "s", "value_minor": 5}
    rows = [row | {"recipient_id": who, "event_id": f"e-{who}", "properties": mark(who)} for who in (WHO, STAYS)]
    return pa.Table.from_pylist(rows)


@pytest.fixture
def eraser(db, lake, redis, tmp_path, box):
    return Eraser(db, places(lake, redis, tmp_path, box), ErasureLedger(tmp_path / "ledger"))


def events(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(text("SELECT * FROM event ORDER BY recipient_id")).mappings().all()


def test_events_stay_under_a_random_id_and_the_person_is_found_nowhere(db, planted, lake, redis, eraser):
    asked = Erasures(db).request(planted, WHO, actor="test", now=NOW, mode=Mode.ANONYMIZE)
    receipt = eraser.run(planted, asked.erasure_id)
    assert (receipt.mode, receipt.finished_at is not None) == (Mode.ANONYMIZE, True)
    assert set(receipt.done) == set(place_names.every())
    assert hits(db, planted, lake, redis, WHO) == set()
    assert "event" in hits(db, planted, lake, redis, STAYS)
    theirs, kept = events(db, planted)
    assert kept["recipient_id"] == STAYS
    assert theirs["recipient_id"].startswith("anonymous-")
    assert WHO not in str(theirs)
    linking = [theirs[name] for name in ("session_id", "decision_id", "context", "attribution")]
    assert (theirs["properties"], linking) == ({}, [None] * 4)
    assert (theirs["type"], theirs["occurred_at"]) == (kept["type"], kept["occurred_at"])
    rows = lake.read(EVENTS, day=DAY).to_pylist()
    assert [row["recipient_id"] for row in rows] == [theirs["recipient_id"], STAYS]
    assert (rows[0]["session_id"], rows[0]["properties"], rows[0]["value_minor"]) == (None, "{}", 5)
    assert rows[1] == lake_events(planted).to_pylist()[1]
    assert ConsentStore(db).allowances(planted, WHO).is_deleted


def test_nothing_kept_leads_from_the_random_id_to_the_person(db, planted, eraser):
    asked = Erasures(db).request(planted, WHO, actor="test", now=NOW, mode=Mode.ANONYMIZE)
    eraser.run(planted, asked.erasure_id)
    anonymous = events(db, planted)[0]["recipient_id"]
    key = subject_key(planted.subject_secret, WHO)
    with db.tenant(planted.tenant) as connection:
        names = connection.execute(text("SELECT table_name FROM information_schema.tables WHERE table_schema='public'"))
        for (name,) in names.all():
            rows = connection.execute(text(f"SELECT t::text FROM {name} t")).scalars().all()
            assert [row for row in rows if anonymous in row and (key in row or WHO in row)] == [], name
        assert connection.execute(text("SELECT anonymous_id FROM erasure")).scalar_one() is None


def test_another_person_gets_another_random_id(db, planted, eraser):
    for who in (WHO, STAYS):
        asked = Erasures(db).request(planted, who, actor="test", now=NOW, mode=Mode.ANONYMIZE)
        eraser.run(planted, asked.erasure_id)
    assert len({row["recipient_id"] for row in events(db, planted)}) == 2


def test_an_open_request_to_anonymize_becomes_one_to_erase_and_never_the_other_way(db, planted, eraser):
    first = Erasures(db).request(planted, WHO, actor="test", now=NOW, mode=Mode.ANONYMIZE)
    second = Erasures(db).request(planted, WHO, actor="test", now=NOW)
    third = Erasures(db).request(planted, WHO, actor="test", now=NOW, mode=Mode.ANONYMIZE)
    assert {first.erasure_id} == {second.erasure_id, third.erasure_id}
    assert (second.mode, third.mode) == (Mode.ERASE, Mode.ERASE)
    eraser.run(planted, first.erasure_id)
    assert [row["recipient_id"] for row in events(db, planted)] == [STAYS]


def test_the_name_of_the_lakes_events_is_the_assets():
    assert EVENTS == event_days.TABLE


def test_a_second_pass_finds_nothing_left(db, planted, eraser):
    asked = Erasures(db).request(planted, WHO, actor="test", now=NOW, mode=Mode.ANONYMIZE)
    eraser.run(planted, asked.erasure_id)
    again = Erasures(db).request(planted, WHO, actor="test", now=NOW + timedelta(days=1), mode=Mode.ANONYMIZE)
    receipt = eraser.run(planted, again.erasure_id)
    assert receipt.done["event"] == receipt.done["lake"] == 0
