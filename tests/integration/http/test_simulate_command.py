"""``kairos simulate --api``: people of a seed at the real service, in a sandbox whose clock is moved; nobody else's."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from typer.testing import CliRunner

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.tables import decision, event
from adapters.postgres.tenants import Tenants
from cli.app import app
from cli.exit_codes import ExitCode, Refused
from tests.api import KEYS, settings_for

START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=28)
MONDAY = START - timedelta(days=START.weekday())
SMALL = ("--users", "25", "--days", "3", "--scenario", "easy", "--seed", "2", "--start", f"{MONDAY:%Y-%m-%d}")


@pytest.fixture
def run(tmp_path, databases, box, key, server, monkeypatch):
    settings_for(tmp_path, databases, box)
    given = {"DATA_DIR": str(tmp_path), "POSTGRES_URL": databases.app, "KEY_ENCRYPTION_KEYS": KEYS, "API_KEY": key}
    for name, value in (given | {"REDIS_URL": "redis://127.0.0.1:1"}).items():
        monkeypatch.setenv(f"KAIROS_{name}", value)
    return lambda *words: CliRunner().invoke(app, ["simulate", "--api", str(server.base_url), *SMALL, *words])


def document(done):
    """Return what was printed; the service logs into the same stream, from its own thread."""
    assert done.exit_code == 0, done.exception or done.output[-2000:]
    return json.loads(next(line for line in done.stdout.splitlines() if '"service"' in line))


@pytest.fixture
def counted(db, tenant):
    def count():
        with db.tenant(tenant.tenant) as connection:
            return [
                connection.execute(select(func.count()).select_from(each)).scalar_one() for each in (decision, event)
            ]

    return count


def test_every_answer_is_a_recorded_decision_and_everything_told_is_stored(run, db, tenant, counted):
    told = document(run("--json"))
    assert sum(told["service"]["outcomes"].values()) == 25 * 3
    assert told["service"]["outcomes"]["send_now"] == told["total"]["sent"] == told["total"]["asked"] > 20
    assert counted() == [25 * 3, told["service"]["events"]["stored"]]
    with db.tenant(tenant.tenant) as connection:
        named = "SELECT count(*) FROM event e JOIN decision d USING (tenant, decision_id) WHERE type = :type"
        sent = connection.execute(text(named), {"type": "notification_sent"}).scalar_one()
    assert sent == told["total"]["sent"], "each message that was sent names the decision that sent it"


def test_the_sandbox_is_left_at_the_midnight_after_the_last_day(run, db, box, tenant):
    document(run("--json"))
    shifted = Tenants(db, box).get(tenant.tenant)
    now = datetime.now(UTC) + timedelta(seconds=shifted.clock_offset_seconds)
    assert timedelta(0) <= now - (MONDAY + timedelta(days=3)) < timedelta(minutes=5)


def test_the_same_command_with_a_journal_decides_and_stores_nothing_twice(run, tmp_path, counted):
    journal = ("--journal", str(tmp_path / "journal"))
    first, known = document(run(*journal, "--json")), counted()
    again = document(run(*journal, "--json"))
    assert counted() == known
    assert again["weeks"] == first["weeks"]
    assert set(again["service"]["events"]) <= {"duplicate"}


def test_a_tenant_that_is_no_sandbox_keeps_its_clock_and_its_people(run, db, box, monkeypatch, tenant):
    real = Tenants(db, box).create(f"{tenant.tenant}-real", display_name="real")[0]
    monkeypatch.setenv("KAIROS_API_KEY", ApiKeys(db, box).issue(real.tenant, name="test"))
    done = run()
    assert isinstance(done.exception, Refused)
    assert done.exception.code is ExitCode.USAGE
    assert str(done.exception) == f"{real.tenant} is no sandbox: its clock stays as it is"


def test_the_journal_of_another_run_is_refused_before_anything_is_asked(run, tmp_path, counted):
    (tmp_path / "journal").write_text('{"about": {"seed": 9}}\n')
    done = run("--journal", str(tmp_path / "journal"))
    assert isinstance(done.exception, Refused)
    assert "is the journal of another run" in str(done.exception)
    assert counted() == [0, 0]
