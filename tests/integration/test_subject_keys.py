"""Sealed fields on a real PostgreSQL: open in their own place only, and never again once their subject is erased."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from adapters.keyring import Keyring
from adapters.postgres import subject_keys
from adapters.postgres.engine import Database, NoKeyring
from adapters.postgres.subject_key_tables import subject_data_key
from adapters.postgres.subject_keys import TOMBSTONE, KeyDestroyed, Place, SubjectKeys
from adapters.postgres.tenants import Tenants
from adapters.secrets import CannotOpen
from domain.identity import subject_key
from tests.api import KEYS
from tests.thorough import examples

HERE = {"table": "profile", "column": "document", "version": 1}
KEEPER = SubjectKeys(Keyring.given(KEYS))


def sealed_by(db, tenant, recipient="r", plain=b"secret", **place) -> bytes:
    with db.tenant(tenant.tenant) as connection:
        return subject_keys.of(connection).seal(connection, tenant, recipient, **(HERE | place), plain=plain)


def opened_by(db, tenant, sealed, recipient="r", **place) -> bytes:
    with db.tenant(tenant.tenant) as connection:
        return subject_keys.of(connection).open(connection, tenant, recipient, **(HERE | place), sealed=sealed)


def rows(db, tenant) -> list:
    with db.tenant(tenant.tenant) as connection:
        return list(connection.execute(select(subject_data_key).order_by(subject_data_key.c.key_id)))


def test_a_value_opens_where_it_was_sealed_and_never_looks_the_same(db, tenant):
    one, other = sealed_by(db, tenant), sealed_by(db, tenant)
    assert one != other
    assert b"secret" not in one
    assert [opened_by(db, tenant, each) for each in (one, other)] == [b"secret", b"secret"]
    assert len(rows(db, tenant)) == 1


@pytest.mark.parametrize(
    "elsewhere",
    [{"recipient": "s"}, {"recipient": None}, {"table": "consent_record"}, {"column": "name"}, {"version": 2}],
)
def test_a_value_that_was_moved_does_not_open(db, tenant, elsewhere):
    sealed_by(db, tenant, recipient="s")
    sealed_by(db, tenant, recipient=None)
    with pytest.raises(CannotOpen):
        opened_by(db, tenant, sealed_by(db, tenant), **elsewhere)


def test_a_value_does_not_open_for_another_tenant_even_with_its_data_keys_copied(db, box, tenant):
    sealed = sealed_by(db, tenant)
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    own = rows(db, tenant)[0]._mapping
    copied = dict(own) | {"tenant": other.tenant, "subject_key": subject_key(other.subject_secret, "r")}
    with db.tenant(other.tenant) as connection:
        connection.execute(subject_data_key.insert().values(copied))
    with pytest.raises(CannotOpen):
        opened_by(db, other, sealed)


@settings(max_examples=examples(200, 15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_a_sealed_value_is_ever_opened(db, tenant, data):
    plain = data.draw(st.binary(max_size=64))
    sealed = sealed_by(db, tenant, plain=plain)
    spoilt = set()
    for place in range(len(sealed)):
        spoilt.add(sealed[:place])
        spoilt.add(sealed[:place] + bytes([sealed[place] ^ (1 << data.draw(st.integers(0, 7)))]) + sealed[place + 1 :])
    with db.tenant(tenant.tenant) as connection:
        subject = KEEPER._subjects(connection, tenant, [subject_key(tenant.subject_secret, "r")])
        bound_to = subject_keys._bound_to(tenant, *_name_and_place(tenant))
    assert _open_all(subject, bound_to, [sealed]) == [plain]
    assert _open_all(subject, bound_to, sorted(spoilt)) == []


def _name_and_place(tenant):
    place = Place("r", *HERE.values())
    return subject_keys._name(tenant, place), place


def _open_all(subjects, bound_to, values) -> list:
    opened = []
    for value in values:
        try:
            opened.append(subject_keys._opened(next(iter(subjects.values())), bound_to, value))
        except CannotOpen:
            continue
    return opened


def test_many_values_are_sealed_and_opened_with_one_reading_of_the_keys(db, tenant):
    places = [Place(f"r{number}", *HERE.values()) for number in range(200)]
    with db.tenant(tenant.tenant) as connection:
        keys = subject_keys.of(connection)
        sealed = keys.seal_many(connection, tenant, [(place, place.recipient_id.encode()) for place in places])
        statements = []
        real, connection.execute = connection.execute, lambda *given: statements.append(given) or real(*given)
        opened = keys.open_many(connection, tenant, list(zip(places, sealed, strict=True)))
    assert opened == [place.recipient_id.encode() for place in places]
    assert len(statements) == 1


def test_an_erased_subject_opens_nothing_and_gets_no_new_key(db, tenant):
    sealed, kept = sealed_by(db, tenant), sealed_by(db, tenant, recipient="s")
    for _ in range(2):
        with db.tenant(tenant.tenant) as connection:
            KEEPER.destroy(connection, tenant, "r")
    with pytest.raises(KeyDestroyed):
        opened_by(db, tenant, sealed)
    with pytest.raises(KeyDestroyed):
        sealed_by(db, tenant)
    assert opened_by(db, tenant, kept, recipient="s") == b"secret"
    left = [row for row in rows(db, tenant) if row.subject_key == subject_key(tenant.subject_secret, "r")]
    assert [(row.key_id, row.wrapped) for row in left] == [(TOMBSTONE, None)]
    with db.tenant(tenant.tenant) as connection:
        assert KEEPER.is_destroyed(connection, tenant, "r")
        assert not KEEPER.is_destroyed(connection, tenant, "s")
        assert not KEEPER.is_destroyed(connection, tenant, "never seen")


def test_a_subject_that_comes_back_seals_again_and_the_past_stays_closed(db, tenant):
    sealed = sealed_by(db, tenant)
    with db.tenant(tenant.tenant) as connection:
        KEEPER.destroy(connection, tenant, "r")
        KEEPER.renew(connection, tenant, "r")
        assert not KEEPER.is_destroyed(connection, tenant, "r")
    assert opened_by(db, tenant, sealed_by(db, tenant, plain=b"new")) == b"new"
    with pytest.raises(KeyDestroyed):
        opened_by(db, tenant, sealed)


def test_an_erasure_waits_for_a_key_in_the_making_and_destroys_it_too(db, tenant):
    done = threading.Event()

    def erase() -> None:
        with db.tenant(tenant.tenant) as connection:
            KEEPER.destroy(connection, tenant, "r")
        done.set()

    with db.tenant(tenant.tenant) as connection:
        KEEPER.seal(connection, tenant, "r", **HERE, plain=b"x")
        eraser = threading.Thread(target=erase)
        eraser.start()
        assert not done.wait(0.2)
    eraser.join(30)
    assert [row.key_id for row in rows(db, tenant)] == [TOMBSTONE]


def test_two_transactions_that_meet_a_new_subject_do_not_wait_for_each_other(db, tenant):
    with db.tenant(tenant.tenant) as one, db.tenant(tenant.tenant) as other:
        first = KEEPER.seal(one, tenant, "r", **HERE, plain=b"one")
        second = KEEPER.seal(other, tenant, "r", **HERE, plain=b"other")
    assert [opened_by(db, tenant, each) for each in (first, second)] == [b"one", b"other"]


def test_a_key_that_is_not_there_is_said_and_is_no_erasure(db, tenant):
    sealed = sealed_by(db, tenant)
    with db.tenant(tenant.tenant) as connection:
        connection.execute(subject_data_key.delete())
    with pytest.raises(CannotOpen, match="does not have"):
        opened_by(db, tenant, sealed)


def test_another_installations_key_encryption_key_opens_nothing(databases, db, tenant):
    sealed = sealed_by(db, tenant)
    stranger = Database(databases.app, keyring=Keyring.given(f"test:{'6' * 64}"))
    with pytest.raises(CannotOpen):
        opened_by(stranger, tenant, sealed)
    stranger.close()


def test_a_database_without_key_encryption_keys_says_so(databases, tenant):
    plain = Database(databases.app)
    with pytest.raises(NoKeyring):
        sealed_by(plain, tenant)
    plain.close()
