"""What was stored before it was sealed is sealed by a step that may stop anywhere, and reads as it did before."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from adapters.postgres import subject_keys
from adapters.postgres.consent import ConsentStore
from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.late_sealing import LateSealing
from adapters.postgres.profiles import Profiles
from adapters.postgres.tables import consent_record, dead_letter, profile
from domain.consent import ConsentChange, ConsentStatus
from domain.identity import subject_key
from domain.values import Purpose

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CANARY = "canary-4711"
RECIPIENTS = [f"r{number}" for number in range(5)]


@pytest.fixture
def in_clear(db, tenant):
    """A profile, a proof and a letter in clear of each recipient, and a letter that names nobody."""
    given = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="form")
    record = given.model_dump(mode="json", exclude={"proof", "effective_at"})
    letter = {"tenant": tenant.tenant, "origin": "api", "reason": "x", "expected": "y", "received_at": NOW}
    with db.tenant(tenant.tenant) as connection:
        for position, who in enumerate(RECIPIENTS):
            mine = {"tenant": tenant.tenant, "recipient_id": who}
            document = {"locale": "fr", "attributes": {"note": CANARY}}
            connection.execute(profile.insert().values(mine | {"version": 2, "unsealed": document}))
            said = {"actor": "old", "effective_at": NOW, "proof": {"form": CANARY}}
            connection.execute(consent_record.insert().values(record | mine | said))
            raw = f'{{"recipient_id": "{who}", "note": "{CANARY}"}}'.encode()
            connection.execute(dead_letter.insert().values(letter | {"position": position, "raw": raw}))
        connection.execute(dead_letter.insert().values(letter | {"position": 99, "raw": CANARY.encode()}))


def everything(db, tenant) -> str:
    with db.tenant(tenant.tenant) as connection:
        tables = (profile, consent_record, dead_letter)
        return " ".join(str(row) for each in tables for row in connection.execute(select(each)))


def as_read(db, tenant) -> list:
    told = [Profiles(db).get(tenant, who, actor="t").profile for who in RECIPIENTS]
    told += [ConsentStore(db).disclose(tenant, who, actor="t")[1][0]["proof"] for who in RECIPIENTS]
    return told + [(each.position, each.raw) for each in DeadLetters(db).newest(tenant, actor="t")]


def test_everything_is_sealed_for_whom_it_is_about_and_reads_as_before(db, tenant, in_clear):
    before, late = as_read(db, tenant), LateSealing(db)
    assert (CANARY in everything(db, tenant), late.left(tenant)) == (True, 16)
    assert sum(late.seal(tenant)) == 16
    assert (CANARY in everything(db, tenant), late.left(tenant)) == (False, 0)
    assert as_read(db, tenant) == before
    with db.tenant(tenant.tenant) as connection:
        whose = set(connection.execute(select(dead_letter.c.sealed_for)).scalars())
    assert whose == {"*", *(subject_key(tenant.subject_secret, who) for who in RECIPIENTS)}
    assert list(late.seal(tenant)) == []


def test_one_that_was_stopped_goes_on_where_it_was(db, tenant, in_clear):
    late = LateSealing(db)
    assert next(late.seal(tenant, batch=2)) == 2
    assert late.left(tenant) == 14
    assert list(LateSealing(db).seal(tenant, batch=4)) == [3, 4, 1, 4, 2]
    assert late.left(tenant) == 0


def test_of_an_erased_person_nothing_is_left_in_clear_and_nothing_sealed(db, tenant, in_clear):
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, "r0")
    assert sum(LateSealing(db).seal(tenant)) == 16
    assert CANARY not in everything(db, tenant)
    assert ConsentStore(db).disclose(tenant, "r0", actor="t")[1][0]["proof"] == {}
    assert {each.position: each.raw for each in DeadLetters(db).newest(tenant, actor="t")}[0] == b""


def test_what_is_sealed_cannot_be_sealed_over_and_the_tables_stay_as_they_are(db, tenant, in_clear):
    assert sum(LateSealing(db).seal(tenant)) == 16
    with db.tenant(tenant.tenant) as connection:
        record, letter = (
            connection.execute(select(column).limit(1)).scalar_one()
            for column in (consent_record.c.record_id, dead_letter.c.dead_letter_id)
        )
        assert connection.execute(text("SELECT kairos_seal_proof(:n, 'x')"), {"n": record}).scalar_one() is False
        assert connection.execute(text("SELECT kairos_seal_letter(:n, 'x', '*')"), {"n": letter}).scalar_one() is False
    for statement in ("UPDATE consent_record SET proof = '{}'", "UPDATE dead_letter SET raw = ''"):
        with pytest.raises(ProgrammingError, match="permission denied"), db.tenant(tenant.tenant) as connection:
            connection.execute(text(statement))
