"""The facts rules ask about: only those, from where they are, and behaviour only of who allowed it."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from adapters.lake import Lake
from adapters.postgres import allowances
from adapters.postgres.consent import ConsentStore
from adapters.postgres.profiles import Profiles
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.segment_rows import TABLE, SegmentRows
from domain.consent import ConsentChange, ConsentStatus
from domain.events import EventType
from domain.profiles import Profile
from domain.segments import EventCount
from domain.values import Channel, Purpose

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLICKS = EventCount(EventType.CLICKED, 30)


@pytest.fixture
def lake(tmp_path, tenant):
    lake = Lake(tmp_path)
    rows = [
        {"tenant": tenant.tenant, "recipient_id": "open", "segment": "hibernating", "score": 0.2, "recency_score": 1},
        {"tenant": tenant.tenant, "recipient_id": "shut", "segment": "hibernating", "score": 0.2, "recency_score": 1},
        {"tenant": "another", "recipient_id": "partly", "segment": "champions", "score": 1.0, "recency_score": 5},
    ]
    lake.write(TABLE, pa.Table.from_pylist(rows))
    return lake


def allow(db, tenant, who, channel="*"):
    given = ConsentChange(purpose=Purpose.PERSONALIZATION, channel=channel, status=ConsentStatus.GIVEN, source="f")
    ConsentStore(db).record(tenant, who, [given], actor="test", now=NOW)


def read(db, tenant, facts, *subjects):
    with db.tenant(tenant.tenant) as connection:
        allowed = allowances.read(connection, ["open", "shut", "partly"])
        return facts.read(connection, tenant, allowed, subjects, NOW)


def test_segments_and_counts_are_missing_without_consent_on_every_channel(db, tenant, lake):
    allow(db, tenant, "open")
    allow(db, tenant, "partly", Channel.EMAIL)
    found = read(db, tenant, RecipientFacts(SegmentRows(lake)), "segment.name", CLICKS)
    expected = {"segment.name": "hibernating", "segment.score": 0.2, "segment.recency_score": 1, CLICKS.name: 0}
    assert found == {"open": expected, "shut": {}, "partly": {}}


def test_nothing_is_read_that_no_rule_asks_about(db, tenant, lake):
    allow(db, tenant, "open")
    Profiles(db).put(tenant, "open", Profile(country="FR"), actor="test")
    facts = RecipientFacts(SegmentRows(lake))
    assert read(db, tenant, facts) == {"open": {}, "shut": {}, "partly": {}}
    assert read(db, tenant, facts, CLICKS)["open"] == {CLICKS.name: 0}
    assert read(db, tenant, facts, "profile.country")["open"]["profile.country"] == "FR"


def test_before_the_first_night_there_are_no_segments(db, tenant, tmp_path):
    allow(db, tenant, "open")
    facts = RecipientFacts(SegmentRows(Lake(tmp_path / "empty")))
    assert read(db, tenant, facts, "segment.name")["open"] == {}
