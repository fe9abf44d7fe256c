"""The audit chain on a real PostgreSQL: nothing is skipped, nobody waits, and every tampering is found and named."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters.audit_verification import verify
from adapters.checkpoints import BadCheckpoint, Checkpoints
from adapters.keyring import Keyring
from adapters.postgres import audit, audit_chain
from adapters.postgres.audit import AuditEntry
from adapters.postgres.audit_chain import AuditChain
from adapters.postgres.engine import Database
from adapters.settings import Settings
from domain.audit import LATEST_ARRIVAL, Head, digest, extended, genesis
from serving.sealer import CHECKPOINT_EVERY, Sealer
from tests.api import KEYS
from tests.audit_scene import EDIT, FORGE


@pytest.fixture(scope="session")
def superuser(databases):
    url = databases.server.set(database=databases.database).render_as_string(hide_password=False)
    database = Database(url, keyring=Keyring.given(KEYS))
    yield database
    database.close()


@pytest.fixture
def checkpoints(tmp_path, box):
    return Checkpoints.of(Settings(data_dir=tmp_path), box)


@pytest.fixture
def chain(db):
    return AuditChain(db)


def append(db, tenant, count=1, **fields) -> None:
    given = {"action": "profile.read", "actor": "key:1", "object": "profile", "recipient_id": "r"} | fields
    with db.tenant(tenant.tenant) as connection:
        audit.write(connection, tenant, [AuditEntry(**given, detail={"n": number}) for number in range(count)])


def rows(db, tenant) -> list:
    with db.tenant(tenant.tenant) as connection:
        query = "SELECT l.sequence, a.* FROM audit a LEFT JOIN audit_link l USING (tenant, audit_id) ORDER BY audit_id"
        return connection.execute(text(query)).all()


def test_rows_are_linked_in_the_order_of_their_numbers_and_hold(db, chain, checkpoints, tenant):
    append(db, tenant, 5)
    assert (chain.seal(tenant.tenant), chain.seal(tenant.tenant)) == (5, 0)
    assert [row.sequence for row in rows(db, tenant)] == [1, 2, 3, 4, 5]
    verdict = verify(chain, checkpoints, tenant.tenant)
    assert (verdict.holds, verdict.checked, verdict.unsealed) == (True, 5, 0)
    append(db, tenant, 2)
    verdict = verify(chain, checkpoints, tenant.tenant)
    assert (verdict.holds, verdict.checked, verdict.unsealed) == (True, 5, 2)


def test_a_row_that_commits_after_younger_ones_were_linked_is_not_skipped(db, chain, checkpoints, tenant, monkeypatch):
    monkeypatch.setattr(audit_chain, "MARK_SECONDS", 0.0)
    with db.tenant(tenant.tenant) as slow:
        entry = AuditEntry(action="profile.read", actor="slow", object="profile")
        audit.write(slow, tenant, [entry])
        for _ in range(4):
            append(db, tenant, 3)
            chain.seal(tenant.tenant)
        assert len([row for row in rows(db, tenant) if row.sequence is not None]) == 12
    for _ in range(3):
        chain.seal(tenant.tenant)
    assert [row.sequence for row in rows(db, tenant)] == [13, *range(1, 13)]
    assert verify(chain, checkpoints, tenant.tenant).holds


def test_the_mark_moves_on_so_that_a_step_does_not_search_the_whole_trail(db, chain, tenant, monkeypatch):
    monkeypatch.setattr(audit_chain, "MARK_SECONDS", 0.0)
    append(db, tenant, 4)
    waited = threading.Event()
    for _ in range(1000):
        chain.seal(tenant.tenant)
        if chain._progress[tenant.tenant].low:
            break
        waited.wait(0.01)  # another test's transaction may hold the horizon back
    assert chain._progress[tenant.tenant].low == rows(db, tenant)[-1].audit_id


def test_a_new_process_finds_what_its_predecessor_left(db, tenant, chain):
    append(db, tenant, 3)
    chain.seal(tenant.tenant)
    append(db, tenant, 2)
    assert AuditChain(db).seal(tenant.tenant) == 2


def test_writers_do_not_wait_for_the_sealer_and_two_sealers_make_one_chain(db, chain, checkpoints, tenant):
    append(db, tenant, 3)
    with db.tenant(tenant.tenant) as sealing:
        assert sealing.execute(audit_chain._ALONE, {"tenant": tenant.tenant}).scalar_one()
        waiting = sealing.execute(audit_chain._UNLINKED, {"low": 0, "limit": 10}).all()
        audit_chain._append(sealing, tenant.tenant, genesis(tenant.tenant), waiting)
        with db.tenant(tenant.tenant) as writing:
            writing.execute(text("SET LOCAL lock_timeout = '1ms'"))
            audit.write(writing, tenant, [AuditEntry(action="profile.read", actor="key:1", object="profile")])
        assert chain.seal(tenant.tenant) == 0
    assert chain.seal(tenant.tenant) == 1
    assert [row.sequence for row in rows(db, tenant)] == [1, 2, 3, 4]
    assert verify(chain, checkpoints, tenant.tenant).checked == 4


def test_concurrent_writers_leave_one_chain_without_gap(db, chain, checkpoints, tenant):
    writers = [threading.Thread(target=lambda: [append(db, tenant, 5) for _ in range(10)]) for _ in range(4)]
    for each in writers:
        each.start()
    while any(each.is_alive() for each in writers):
        chain.seal(tenant.tenant)
    while chain.seal(tenant.tenant):
        continue
    verdict = verify(chain, checkpoints, tenant.tenant)
    assert (verdict.holds, verdict.checked, verdict.unsealed) == (True, 200, 0)


SWAP = """
UPDATE audit a SET actor = b.actor, detail = b.detail FROM audit b
WHERE a.tenant = :t AND b.tenant = :t AND a.audit_id IN (:third, :fourth) AND b.audit_id IN (:third, :fourth)
    AND a.audit_id <> b.audit_id
"""
VARIANTS = {
    "edit of sealed values": (
        ["UPDATE audit SET values_sealed = '\\x00' WHERE tenant = :t AND audit_id = :third"], "edited", 3),
    "delete with link": (
        ["DELETE FROM audit WHERE tenant = :t AND audit_id = :third",
         "DELETE FROM audit_link WHERE tenant = :t AND sequence = 3"], "unlinked", 4),
    "swap of two rows": ([SWAP], "edited", 3),
}  # fmt: skip


@pytest.fixture
def signed(db, chain, checkpoints, tenant):
    """Six rows, linked and signed; returns their numbers by name."""
    append(db, tenant, 6)
    chain.seal(tenant.tenant)
    assert checkpoints.write(tenant.tenant, chain.head(tenant.tenant), at=datetime.now(UTC)) is not None
    assert verify(chain, checkpoints, tenant.tenant).holds
    ids = [row.audit_id for row in rows(db, tenant)]
    return {"t": tenant.tenant, "third": ids[2], "fourth": ids[3]}


def tamper(superuser, names, *statements: str) -> None:
    with superuser.begin() as connection:
        for each in statements:
            assert connection.execute(text(each), names).rowcount > 0


@pytest.mark.parametrize("what", VARIANTS)
def test_a_variant_of_a_tampering_is_found_and_its_first_row_is_named(
    superuser, chain, checkpoints, tenant, signed, what
):
    statements, kind, place = VARIANTS[what]
    tamper(superuser, signed, *statements)
    found = verify(chain, checkpoints, tenant.tenant).finding
    assert (found.kind, found.sequence) == (kind, place)
    assert found.sentence


def test_a_forged_row_without_a_link_is_found_by_its_age(superuser, chain, checkpoints, tenant, signed):
    tamper(superuser, signed, FORGE)
    found = verify(chain, checkpoints, tenant.tenant).finding
    assert (found.kind, found.sequence) == ("inserted", None)


def test_a_digest_made_to_fit_an_edited_row_does_not_fit_its_link(superuser, chain, checkpoints, tenant, signed):
    tamper(superuser, signed, EDIT)
    row = list(chain.links(tenant.tenant))[2].row
    tamper(
        superuser,
        signed | {"digest": digest(row)},
        "UPDATE audit_link SET digest = :digest WHERE tenant = :t AND sequence = 3",
    )
    found = verify(chain, checkpoints, tenant.tenant).finding
    assert (found.kind, found.sequence) == ("relinked", 3)


def test_erasing_a_subject_leaves_the_chain_whole(db, chain, checkpoints, tenant):
    append(db, tenant, 2, new={"country": "FR"})
    chain.seal(tenant.tenant)
    from adapters.postgres import subject_keys

    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, "r")
    assert verify(chain, checkpoints, tenant.tenant).holds


def test_since_begins_at_the_last_checkpoint_before_and_still_finds_what_follows(
    db, superuser, chain, checkpoints, tenant, signed
):
    append(db, tenant, 3)
    chain.seal(tenant.tenant)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert verify(chain, checkpoints, tenant.tenant, since=later).checked == 3
    tamper(superuser, signed, EDIT)
    assert verify(chain, checkpoints, tenant.tenant, since=later).holds
    assert not verify(chain, checkpoints, tenant.tenant).holds
    names = {"t": tenant.tenant, "third": rows(db, tenant)[-1].audit_id}
    tamper(superuser, names, EDIT)
    assert verify(chain, checkpoints, tenant.tenant, since=later).finding.sequence == 9


class TestCheckpoints:
    def write(self, checkpoints, *sizes: int) -> list:
        at = datetime(2026, 3, 2, tzinfo=UTC)
        return [checkpoints.write("t", Head(size, bytes([size] * 32)), at=at) for size in sizes]

    def test_they_are_written_once_and_only_when_the_chain_grew(self, checkpoints):
        first, again, shorter, second = self.write(checkpoints, 5, 5, 4, 6)
        assert (again, shorter) == (None, None)
        assert [first.stat().st_mode & 0o777, second.stat().st_mode & 0o777] == [0o400, 0o400]
        assert [each.head.size for each in checkpoints.read("t")] == [5, 6]

    def test_one_that_was_changed_stops_everything_built_upon_it(self, checkpoints):
        (path,) = self.write(checkpoints, 5)
        path.chmod(0o600)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"size": 4}))
        for use in (lambda: checkpoints.read("t"), lambda: self.write(checkpoints, 7)):
            with pytest.raises(BadCheckpoint):
                use()

    def test_one_that_is_gone_is_missed_by_the_next(self, checkpoints):
        first, _ = self.write(checkpoints, 5, 6)
        first.unlink()
        with pytest.raises(BadCheckpoint, match="before it is gone"):
            checkpoints.read("t")

    def test_another_installations_are_not_ours(self, checkpoints, tmp_path):
        from adapters.secrets import SecretBox

        self.write(Checkpoints.of(Settings(data_dir=tmp_path), SecretBox(b"x" * 32)), 5)
        with pytest.raises(BadCheckpoint):
            checkpoints.read("t")


def test_the_sealer_links_and_signs_every_hour_and_survives_a_forged_checkpoint(db, checkpoints, tenant, tmp_path):
    class OneTenant(AuditChain):
        def tenants(self):
            return [tenant.tenant]

    now = datetime(2026, 3, 2, tzinfo=UTC)
    sealer = Sealer(chain=OneTenant(db), checkpoints=checkpoints, now=lambda: now)
    append(db, tenant, 2)
    sealer.step()
    append(db, tenant, 1)
    sealer.step()
    assert (sealer.counts.linked, sealer.counts.checkpoints) == (3, 1)
    now += CHECKPOINT_EVERY
    sealer.step()
    assert [each.head.size for each in checkpoints.read(tenant.tenant)] == [2, 3]
    for path in (tmp_path / "audit-checkpoints").iterdir():
        path.chmod(0o600)
        path.write_text("{}")
    append(db, tenant, 1)
    now += CHECKPOINT_EVERY
    sealer.step()
    assert (sealer.counts.linked, sealer.counts.refused_checkpoints) == (4, 1)
    assert verify(AuditChain(db), checkpoints, tenant.tenant).finding.kind == "forged"


def test_the_sealer_goes_on_with_a_rotation_until_nothing_is_left(db, checkpoints):
    class Nobody(AuditChain):
        def tenants(self):
            return []

    now, left = datetime(2026, 3, 2, tzinfo=UTC), [3, 2, 0, 7]
    sealer = Sealer(chain=Nobody(db), checkpoints=checkpoints, rotate=lambda _: left.pop(0), now=lambda: now)
    for _ in range(5):
        sealer.step()
    assert (sealer.counts.rewrapped, left) == (5, [7])


def test_the_pure_chain_binds_place_and_tenant():
    row = digest({"a": 1})
    one = extended(genesis("a"), row)
    assert one.size == 1
    assert one.link != extended(genesis("b"), row).link
    assert extended(one, row).link != one.link
    assert timedelta(minutes=5) < LATEST_ARRIVAL
