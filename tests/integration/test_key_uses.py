"""Data keys are counted at and retired before random nonces may meet; nobody notices but the table."""

import random
import threading

import pytest
from sqlalchemy import select, text

from adapters.postgres import key_uses, subject_keys
from adapters.postgres.data_key_rotation import DataKeyRotation
from adapters.postgres.profiles import Profiles
from adapters.postgres.subject_key_tables import subject_data_key
from domain.profiles import Profile
from tests.integration.test_subject_keys import opened_by, sealed_by


@pytest.fixture
def every_use_counts(monkeypatch):
    """Nothing is drawn, and a key serves five times."""
    monkeypatch.setattr(key_uses, "STEP", 1)
    monkeypatch.setattr(key_uses, "MOST_USES", 5)


def keys(db, tenant) -> list:
    with db.tenant(tenant.tenant) as connection:
        return list(connection.execute(select(subject_data_key).order_by(subject_data_key.c.created_at)))


def test_a_key_is_retired_at_its_last_use_and_everything_it_sealed_still_opens(db, tenant, every_use_counts):
    sealed = [sealed_by(db, tenant, plain=b"%d" % number) for number in range(12)]
    assert [(each.uses, each.retired_at is not None) for each in keys(db, tenant)] == [(5, True), (5, True), (2, False)]
    assert [opened_by(db, tenant, each) for each in sealed] == [b"%d" % number for number in range(12)]
    assert len({each[1:9] for each in sealed}) == 3


def test_each_key_is_counted_for_itself_and_what_was_rolled_back_is_not(db, tenant, every_use_counts):
    sealed_by(db, tenant, recipient="r")
    sealed_by(db, tenant, recipient=None)
    sealed_by(db, tenant, recipient=None)
    with db.tenant(tenant.tenant) as connection:
        place = subject_keys.Place("r", "profile", "document", 1)
        subject_keys.of(connection).seal_many(connection, tenant, [(place, b"x")])
        connection.rollback()
    assert {each.subject_key == "*": each.uses for each in keys(db, tenant)} == {False: 1, True: 2}


def test_somebody_who_came_back_after_an_erasure_gets_a_new_key_too(db, tenant, every_use_counts):
    sealed_by(db, tenant)
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, "r")
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).renew(connection, tenant, "r")
    sealed = [sealed_by(db, tenant) for _ in range(7)]
    assert len({each[1:9] for each in sealed}) == 2
    with db.tenant(tenant.tenant) as connection:
        assert not subject_keys.of(connection).is_destroyed(connection, tenant, "r")
        subject_keys.of(connection).destroy(connection, tenant, "r")
    with db.tenant(tenant.tenant) as connection:
        assert subject_keys.of(connection).is_destroyed(connection, tenant, "r")


def test_a_rotation_seals_again_what_a_key_retired_by_use_sealed(db, tenant, every_use_counts):
    Profiles(db).put_many(tenant, {"r": Profile(country="FR")}, actor="test")
    while keys(db, tenant)[0].retired_at is None:
        sealed_by(db, tenant)
    with db.tenant(tenant.tenant) as connection:
        connection.execute(text("UPDATE subject_data_key SET created_at = created_at - interval '1 year'"))
        before = connection.execute(text("SELECT now() - interval '1 month'")).scalar_one()
    assert sum(DataKeyRotation(db).renew(tenant, made_before=before)) == 1
    assert Profiles(db).get(tenant, "r", actor="test").profile.country == "FR"


def test_writers_do_not_wait_for_one_another_to_count(db, tenant, every_use_counts):
    sealed_by(db, tenant)
    with db.tenant(tenant.tenant) as first:
        place = subject_keys.Place("r", "profile", "document", 1)
        subject_keys.of(first).seal_many(first, tenant, [(place, b"x")])
        with db.tenant(tenant.tenant) as second:
            second.execute(text("SET LOCAL lock_timeout = '1ms'"))
            subject_keys.of(second).seal_many(second, tenant, [(place, b"y")])
    assert keys(db, tenant)[0].uses == 2


def test_an_erasure_and_counting_never_lock_each_other_out(db, tenant, every_use_counts):
    failed = []

    def seal(recipient: str) -> None:
        try:
            for _ in range(10):
                with db.tenant(tenant.tenant) as connection:
                    for name in (recipient, "new"):
                        place = subject_keys.Place(name, "profile", "document", 1)
                        subject_keys.of(connection).seal_many(connection, tenant, [(place, b"x")])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test says so
            failed.append(error)

    writers = [threading.Thread(target=seal, args=(name,)) for name in ("a", "b", "c")]
    for each in writers:
        each.start()
    for name in ("a", "new", "b", "c"):
        with db.tenant(tenant.tenant) as connection:
            subject_keys.of(connection).destroy(connection, tenant, name)
    for each in writers:
        each.join()
    assert failed == []


def test_what_is_drawn_is_on_average_what_was_used():
    chance = random.Random(7)
    used = [("r", "a")] * 60_000 + [("r", "b")] * 20_000
    counts = key_uses.drawn(used, step=16, below=chance.randrange)
    assert {key: pytest.approx(count, rel=0.1) for key, count in counts.items()} == {
        ("r", "a"): 60_000, ("r", "b"): 20_000,
    }  # fmt: skip
    assert all(count % 16 == 0 for count in counts.values())


def test_a_key_is_retired_far_from_where_nonces_may_meet():
    # A count of 2^30 in steps of 2^16 is 2^14 draws: twenty of its standard deviations, sqrt(2^14), are 16 % of it.
    assert key_uses.MOST_USES * (1 + 20 / (key_uses.MOST_USES / key_uses.STEP) ** 0.5) < 2**32 / 3
