"""``kairos keys``: the least by default, rotated and revoked, as whoever runs the installation does it."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from adapters.postgres.api_keys import ApiKeys
from cli.app import app
from cli.exit_codes import Refused
from domain.permissions import Permission
from domain.roles import PERMISSIONS, Role
from tests.api import KEYS, settings_for


@pytest.fixture
def run(tmp_path, databases, box, tenant, monkeypatch):
    settings_for(tmp_path, databases, box)
    given = {
        "DATA_DIR": str(tmp_path),
        "POSTGRES_URL": databases.app,
        "REDIS_URL": "redis://127.0.0.1:1",
        "KEY_ENCRYPTION_KEYS": KEYS,
    }
    for name, value in given.items():
        monkeypatch.setenv(f"KAIROS_{name}", value)
    return lambda word, *words: CliRunner().invoke(app, ["keys", word, tenant.tenant, *words])


@pytest.fixture
def may(db, box):
    """Return what a printed key may do, some time from now."""

    def find(printed: str, later: timedelta = timedelta()) -> set[str] | None:
        found = ApiKeys(db, box).find(printed.strip(), now=datetime.now(UTC) + later)
        return None if found is None else set(found.scopes)

    return find


def test_a_key_is_an_applications_unless_told_otherwise(run, may):
    assert may(run("issue", "--name", "shop").stdout) == PERMISSIONS[Role.APPLICATION]
    assert may(run("issue", "--name", "a", "--role", "analyst").stdout) == PERMISSIONS[Role.ANALYST]
    assert may(run("issue", "--name", "b", "--scope", "audit:read").stdout) == {Permission.AUDIT_READ}
    assert run("issue", "--name", "c", "--role", "emperor").exit_code == 2


def test_a_key_ends_after_its_days(run, may):
    key = run("issue", "--name", "shop", "--days", "2").stdout
    assert may(key, timedelta(days=1, hours=23)) is not None
    assert may(key, timedelta(days=2, seconds=1)) is None


def test_a_rotated_key_ends_after_the_overlap_and_a_revoked_one_at_once(run, may):
    old = run("issue", "--name", "shop").stdout
    new = run("replace", old.split("_")[1], "--overlap-hours", "2").stdout
    assert may(old, timedelta(hours=1, minutes=59)) == may(new, timedelta(days=99)) == PERMISSIONS[Role.APPLICATION]
    assert may(old, timedelta(hours=2, seconds=1)) is None
    assert run("revoke", new.split("_")[1]).exit_code == 0
    assert may(new) is None
    again = run("replace", new.split("_")[1])
    assert again.exit_code != 0
    assert isinstance(again.exception, Refused | SystemExit)
