"""Rotation on a real PostgreSQL: beside writers, killed at any point, and not one value unreadable."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from adapters.keyring import Keyring
from adapters.postgres import subject_keys
from adapters.postgres.engine import Database
from adapters.postgres.key_rotation import GRACE, KeyRotation
from adapters.postgres.subject_keys import Place, SubjectKeys
from adapters.postgres.tenants import Tenants
from adapters.settings import Settings
from cli.app import app
from domain.identity import subject_key

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def ring(tmp_path):
    return Keyring.of(Settings(data_dir=tmp_path))


@pytest.fixture
def own(databases, ring):
    """The tests' database, opened with this test's own keyring."""
    database = Database(databases.app, keyring=ring)
    yield database
    database.close()


@pytest.fixture
def rotation(own, ring):
    return KeyRotation(own, ring)


def place(number: int) -> Place:
    return Place(f"r{number}", "t", "c", 1)


def sealed(own, ring, tenant, numbers) -> list:
    with own.tenant(tenant.tenant) as connection:
        given = [(place(number), str(number).encode()) for number in numbers]
        return SubjectKeys(ring).seal_many(connection, tenant, given)


def opened(own, ring, tenant, values: dict) -> list:
    with own.tenant(tenant.tenant) as connection:
        given = [(place(number), value) for number, value in values.items()]
        return SubjectKeys(ring).open_many(connection, tenant, given)


def assert_all_open(own, ring, tenant, values: dict) -> None:
    assert opened(own, ring, tenant, values) == [str(number).encode() for number in values]


def rotated(rotation, tenant, **how) -> int:
    return [step.done for step in rotation.rewrap(tenant, actor="owner", **how)][-1]


def test_every_data_key_is_wrapped_anew_and_the_old_key_can_go(own, ring, rotation, tenant):
    values = dict(enumerate(sealed(own, ring, tenant, range(25))))
    old = ring.current
    new = rotation.begin([tenant])
    assert rotation.uses([tenant]) == {old: 25, new: 0}
    assert [step.left for step in rotation.rewrap(tenant, actor="owner", batch=10)] == [15, 5, 0]
    assert rotation.uses([tenant]) == {old: 0, new: 25}
    assert rotation.let_go([tenant], now=datetime.now(UTC)) == []
    assert rotation.let_go([tenant], now=datetime.now(UTC) + GRACE + timedelta(seconds=1)) == [old]
    assert ring.ids == (new,)
    assert_all_open(own, Keyring.of(Settings(data_dir=ring._path.parent)), tenant, values)
    with own.tenant(tenant.tenant) as connection:
        row = connection.execute(text("SELECT action, actor, detail FROM audit")).one()
    assert (row.action, row.actor, row.detail) == ("keys.rotated", "owner", {"key": new, "count": 25})


def test_a_key_that_still_wraps_something_is_never_let_go(own, ring, rotation, tenant):
    sealed(own, ring, tenant, range(3))
    rotation.begin([tenant])
    next(rotation.rewrap(tenant, actor="owner", batch=2))
    assert rotation.let_go([tenant], now=datetime.now(UTC) + 2 * GRACE) == []


def test_one_that_was_interrupted_is_finished_before_another_begins(own, ring, rotation, tenant):
    sealed(own, ring, tenant, range(3))
    new = rotation.begin([tenant])
    assert rotation.begin([tenant]) is None
    assert ring.current == new
    rotated(rotation, tenant)
    assert rotation.begin([tenant]) not in (None, new)


def test_an_erasure_during_a_rotation_stays_one(own, ring, rotation, tenant):
    values = dict(enumerate(sealed(own, ring, tenant, range(4))))
    rotation.begin([tenant])
    steps = rotation.rewrap(tenant, actor="owner", batch=1)
    next(steps)
    with own.tenant(tenant.tenant) as connection:
        for recipient in ("r0", "r1", "r2", "r3"):
            SubjectKeys(ring).destroy(connection, tenant, recipient)
    assert list(steps) == []
    assert opened(own, ring, tenant, values) == [None] * 4


class Load:
    """Writers that seal new subjects and read old ones until they are stopped."""

    def __init__(self, own, ring, tenant) -> None:
        self.values = dict(enumerate(sealed(own, ring, tenant, range(40))))
        self.stop, self.faults = threading.Event(), []
        self._where = own, ring, tenant
        self._threads = [threading.Thread(target=self._work, args=(first,)) for first in (1_000, 2_000)]

    def _work(self, first: int) -> None:
        try:
            for number in range(first, first + 400):
                if self.stop.is_set():
                    return
                self.values[number] = sealed(*self._where, [number])[0]
                assert_all_open(*self._where, {each: self.values[each] for each in (number % 40, number)})
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must show it
            self.faults.append(error)

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for each in self._threads:
            each.join(60)


def test_writers_and_readers_go_on_beside_a_rotation(own, ring, rotation, tenant):
    with Load(own, ring, tenant) as load:
        for _ in range(3):
            rotation.begin([tenant])
            list(rotation.rewrap(tenant, actor="owner", batch=7))
    list(rotation.rewrap(tenant, actor="owner"))
    assert load.faults == []
    assert_all_open(own, ring, tenant, load.values)
    assert set(+rotation.uses([tenant])) == {ring.current}


DYING = """
import os, signal, sys
from pathlib import Path
from typing import Self
from adapters.keyring import Keyring
from adapters.postgres.engine import Database
from adapters.postgres.key_rotation import KeyRotation
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings

ring = Keyring.of(Settings(data_dir=Path(sys.argv[1])))
database = Database(sys.argv[2], keyring=ring)
tenant = Tenants(database, SecretBox(bytes.fromhex(os.environ["MASTER"]))).get(sys.argv[3])
rotation = KeyRotation(database, ring)
rotation.begin([tenant])
for step in rotation.rewrap(tenant, actor="owner", batch=5):
    if step.done >= int(sys.argv[4]):
        # In the middle of the next batch, before its commit.
        with database.tenant(tenant.tenant) as connection:
            from sqlalchemy import text
            connection.execute(text("UPDATE subject_data_key SET wrapped = wrapped WHERE wrapped IS NOT NULL"))
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_one_that_was_killed_midway_is_finished_by_the_next(own, ring, rotation, databases, box, tenant, tmp_path):
    values = dict(enumerate(sealed(own, ring, tenant, range(30))))
    old = ring.current
    for killed_after in ("5", "15"):
        died = subprocess.run(
            [sys.executable, "-c", DYING, str(tmp_path), databases.app, tenant.tenant, killed_after],
            env={"PATH": os.environ["PATH"], "MASTER": box._master.hex()},
            cwd=ROOT,
            check=False,
        )
        assert died.returncode == -9
        assert_all_open(own, ring, tenant, values)
        assert set(rotation.uses([tenant])) == {old, ring.current}
        assert 0 < rotation.uses([tenant])[old] < 30
    assert rotation.begin([tenant]) is None
    rotated(rotation, tenant)
    assert rotation.uses([tenant])[old] == 0
    assert_all_open(own, ring, tenant, values)


def test_it_is_due_after_its_time_and_never_for_keys_of_the_settings(own, ring, rotation):
    made = ring.current_since
    assert not rotation.is_due(made + timedelta(days=89), timedelta(days=90))
    assert rotation.is_due(made + timedelta(days=90), timedelta(days=90))
    given = KeyRotation(own, Keyring.given(f"one:{'1' * 64}"))
    assert not given.is_due(NOW + timedelta(days=10_000), timedelta(days=90))


def test_the_command_says_how_far_it_is(own, ring, databases, box, tenant, tmp_path, monkeypatch):
    from tests.api import settings_for

    settings_for(tmp_path, databases, box)
    sealed(own, ring, tenant, range(3))
    for name, value in {"DATA_DIR": tmp_path, "POSTGRES_URL": databases.app, "REDIS_URL": "redis://x:1"}.items():
        monkeypatch.setenv(f"KAIROS_{name}", str(value))
    monkeypatch.setattr(Tenants, "all", lambda _: iter([tenant]))
    done = CliRunner().invoke(app, ["keys", "rotate", "--json"])
    assert done.exit_code == 0, done.output
    step, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert step == {"tenant": tenant.tenant, "rewrapped": 3, "left": 0}
    assert (end["current"], end["new"], end["removed"]) == (ring.current, ring.current, [])
    assert sorted(end["uses"].values()) == [0, 3]


def test_no_nonce_repeats(ring):
    key = subject_keys._DataKey("00" * 8, b"k" * 32)
    nonces = {subject_keys._encrypt(key, b"", b"")[9:21] for _ in range(100_000)}
    assert len(nonces) == 100_000


def test_a_subjects_keys_are_bound_to_it(own, ring, tenant):
    sealed(own, ring, tenant, range(2))
    names = [subject_key(tenant.subject_secret, f"r{number}") for number in range(2)]
    with own.tenant(tenant.tenant) as connection:
        swap = "UPDATE subject_data_key a SET wrapped = b.wrapped FROM subject_data_key b WHERE a.subject_key = :a"
        connection.execute(text(f"{swap} AND b.subject_key = :b"), {"a": names[0], "b": names[1]})
        with pytest.raises(ValueError, match="data key does not open"):
            SubjectKeys(ring).seal_many(connection, tenant, [(place(0), b"x")])
