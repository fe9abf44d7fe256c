"""Proofs of consents and dead letters as they lie in PostgreSQL, and the audit rows of what else changes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from adapters.postgres import subject_keys
from adapters.postgres.consent import ConsentStore
from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.tables import audit, consent_record, dead_letter
from adapters.postgres.tenants import Tenants
from adapters.secrets import CannotOpen
from domain.consent import ConsentChange
from domain.identity import subject_key
from domain.ingest import parse
from domain.switches import ChannelSwitch

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
GIVEN = ConsentChange(purpose="marketing", status="given", source="web_form", proof={"ip": "canary-77"})


@pytest.fixture
def refuse(db, tenant):
    """Hand in items that are no events."""

    def refuse(*bodies):
        log = EventLog(db, EventEffects(), retention=timedelta(days=1095))
        items = [parse(body, position) for position, body in enumerate(bodies)]
        log.append(tenant, items, origin="api", received_at=NOW, now=NOW)

    return refuse


def erase(db, tenant, recipient="r") -> None:
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, recipient)


def entries(db, tenant) -> list:
    with db.tenant(tenant.tenant) as connection:
        query = select(audit.c.action, audit.c.object, audit.c.detail, audit.c.actor, audit.c.values_sealed)
        return list(connection.execute(query.order_by(audit.c.audit_id)))


def actions(db, tenant) -> list[str]:
    return [row.action for row in entries(db, tenant)]


def proofs(db, tenant) -> list[dict]:
    return [row["proof"] for row in ConsentStore(db).disclose(tenant, "r", actor="test")[1]]


def test_a_proof_is_read_back_and_does_not_lie_in_clear(db, tenant):
    ConsentStore(db).record(tenant, "r", [GIVEN, GIVEN.model_copy(update={"proof": {}})], actor="test", now=NOW)
    assert proofs(db, tenant) == [{"ip": "canary-77"}, {}]
    with db.tenant(tenant.tenant) as connection:
        dump = connection.execute(text("SELECT string_agg(c::text, '|') FROM consent_record c")).scalar_one()
    assert "canary-77" not in dump
    assert b"canary-77".hex() not in dump


def test_a_proof_opens_for_its_own_record_only(db, postgres, databases, tenant):
    from adapters.postgres.engine import Database

    ConsentStore(db).record(tenant, "r", [GIVEN], actor="test", now=NOW)
    superuser = Database(databases.server.set(database=databases.database).render_as_string(hide_password=False))
    with superuser.begin() as connection:
        mine = consent_record.c.tenant == tenant.tenant
        connection.execute(update(consent_record).where(mine).values(purpose="analytics"))
    superuser.close()
    with pytest.raises(CannotOpen):
        proofs(db, tenant)


def test_an_erased_persons_proof_is_gone_and_the_record_stays(db, tenant):
    ConsentStore(db).record(tenant, "r", [GIVEN], actor="test", now=NOW)
    erase(db, tenant)
    assert proofs(db, tenant) == [{}]
    ConsentStore(db).record(tenant, "r", [GIVEN], actor="test", now=NOW)
    assert proofs(db, tenant) == [{}, {}]


def test_a_proof_from_before_they_were_sealed_is_still_read(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        row = {"tenant": tenant.tenant, "recipient_id": "r", "actor": "old", "effective_at": NOW, "proof": {"a": 1}}
        record = GIVEN.model_dump(mode="json", exclude={"proof", "effective_at"}) | row
        connection.execute(consent_record.insert().values(record))
    assert proofs(db, tenant) == [{"a": 1}]


def test_a_dead_letter_is_sealed_for_whom_it_names(db, tenant, refuse):
    refuse({"recipient_id": "r", "type": "canary-88"}, {"type": "nobody's"})
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(dead_letter).order_by(dead_letter.c.position)).all()
    assert [row.sealed_for for row in rows] == [subject_key(tenant.subject_secret, "r"), "*"]
    assert all(b"canary-88" not in bytes(row.raw) for row in rows)
    raws = {letter.position: letter.raw for letter in DeadLetters(db).newest(tenant, actor="key:1")}
    assert (b"canary-88" in raws[0], b"nobody's" in raws[1]) == (True, True)
    (read,) = [row for row in entries(db, tenant) if row.action == "dead_letters.read"]
    assert (read.actor, read.detail["count"]) == ("key:1", 2)


def test_what_an_erased_person_sent_is_gone_and_still_counted(db, tenant, refuse):
    refuse({"recipient_id": "r", "type": "before"})
    erase(db, tenant)
    refuse({"recipient_id": "r", "type": "after"})
    assert [letter.raw for letter in DeadLetters(db).newest(tenant, actor="test")] == [b"", b""]
    books = EventLog(db, EventEffects(), retention=timedelta(days=1)).conservation(tenant.tenant)
    assert (books.dead, books.imbalance) == (2, 0)


def test_a_letter_from_before_they_were_sealed_is_still_read(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        row = {"tenant": tenant.tenant, "origin": "api", "position": 0, "reason": "x", "expected": "y"}
        connection.execute(dead_letter.insert().values(row | {"raw": b"old", "received_at": NOW}))
    assert [letter.raw for letter in DeadLetters(db).newest(tenant, actor="test")] == [b"old"]


def test_switches_suppressions_tenants_and_clocks_leave_rows(db, box, tenant, refuse):
    ConsentStore(db).switch(tenant, "r", ChannelSwitch(channel="email", is_on=False), actor="key:1", source="portal")
    bounced = {"source": "s", "event_id": "1", "type": "bounced", "recipient_id": "r", "channel": "email"}
    refuse(bounced | {"occurred_at": NOW.isoformat(), "properties": {"bounce_type": "hard"}})
    Tenants(db, box).shift_clock(tenant.tenant, 60.0)
    found = entries(db, tenant)
    assert [row.action for row in found] == [
        "channel.switched_off",
        "suppression.added",
        "tenant.clock_set",
    ]
    assert found[0].values_sealed is not None
    assert found[1].detail == {"cause": "bounced"}
    assert found[2].detail == {"from_seconds": 0.0, "to_seconds": 60.0}


def test_a_consent_keeps_what_held_before_and_after(db, tenant):
    ConsentStore(db).record(tenant, "r", [GIVEN], actor="test", now=NOW)
    withdrawn = ConsentChange(purpose="marketing", status="withdrawn", source="portal")
    ConsentStore(db).record(tenant, "r", [withdrawn], actor="test", now=NOW + timedelta(hours=1))
    from adapters.postgres.audit_trail import AuditTrail, Wanted

    second, first = AuditTrail(db).page(tenant, Wanted(recipient_id="r"), limit=2, actor="officer")
    assert (first.old, first.new["status"]) == (None, "given")
    assert (second.old["status"], second.new["status"], second.new["holds"]) == ("given", "withdrawn", True)


def test_the_creation_of_a_tenant_by_somebody_is_in_its_own_trail(db, box, tenant):
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b", actor="owner")
    assert [(row.action, row.actor) for row in entries(db, other)] == [("tenant.created", "owner")]
    assert actions(db, tenant) == []
