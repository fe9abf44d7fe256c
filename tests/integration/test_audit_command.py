"""``kairos audit``: verify, checkpoint and export, as a person and as a script call them."""

import json

import pytest
from typer.testing import CliRunner

from adapters.postgres import audit
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.audit_chain import AuditChain
from cli.app import app
from cli.exit_codes import ExitCode
from domain.audit import digest, extended, genesis
from tests.api import KEYS, settings_for


@pytest.fixture
def run(tmp_path, databases, box, db, tenant, monkeypatch):
    """Run the command on the tests' server, as if this test's tenant were alone on it."""
    settings_for(tmp_path, databases, box)
    given = {
        "DATA_DIR": str(tmp_path),
        "POSTGRES_URL": databases.app,
        "REDIS_URL": "redis://127.0.0.1:1",
        "KEY_ENCRYPTION_KEYS": KEYS,
        "API_KEY": ApiKeys(db, box).issue(tenant.tenant, name="officer", scopes=["audit:read"]),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"KAIROS_{name}", value)
    monkeypatch.setattr(AuditChain, "tenants", lambda _: [tenant.tenant])
    return lambda *words: CliRunner().invoke(app, ["audit", *words])


@pytest.fixture
def four_rows(run, db, tenant):
    """Three readings, after the issue of the key."""
    with db.tenant(tenant.tenant) as connection:
        entry = AuditEntry(action="profile.read", actor="key:1", object="profile", recipient_id="r")
        audit.write(connection, tenant, [entry, entry, entry])


def test_a_trail_that_holds_is_said_to_with_its_unsealed_tail(run, tenant, four_rows):
    done = run("verify", "--json")
    assert done.exit_code == 0, done.output
    verdict = json.loads(done.stdout)
    assert verdict["unsealed_since"] is not None
    assert {name: verdict[name] for name in ("tenant", "holds", "checked", "signed", "unsealed", "kind")} == {
        "tenant": tenant.tenant, "holds": True, "checked": 0, "signed": 0, "unsealed": 4, "kind": None
    }  # fmt: skip
    assert "4 not sealed yet" in run("verify").stdout


def test_a_checkpoint_links_signs_and_is_what_a_rewritten_chain_fails_on(run, postgres, databases, tenant, four_rows):
    from sqlalchemy import text

    from adapters.postgres.engine import Database

    assert ".000000000004.json" in run("checkpoint").stdout
    assert "nothing new to sign" in run("checkpoint").stdout
    assert json.loads(run("verify", "--json").stdout)["signed"] == 4
    url = databases.server.set(database=databases.database).render_as_string(hide_password=False)
    superuser = Database(url)
    with superuser.begin() as connection:
        connection.execute(text("UPDATE audit SET actor = 'x' WHERE tenant = :t"), {"t": tenant.tenant})
        connection.execute(text("DELETE FROM audit_link WHERE tenant = :t"), {"t": tenant.tenant})
    superuser.close()
    assert "nothing new to sign" in run("checkpoint").stdout
    done = run("verify")
    assert done.exit_code == ExitCode.FAILED
    assert "BROKEN (rewritten) at place 4" in done.stdout


def test_an_export_can_be_verified_by_anybody_who_has_sha256(run, tenant, four_rows):
    run("checkpoint")
    done = run("export")
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    head = genesis(tenant.tenant)
    for line in lines:
        assert digest(line["row"]).hex() == line["digest"]
        head = extended(head, bytes.fromhex(line["digest"]))
        assert (head.size, head.link.hex()) == (line["sequence"], line["link"])
    assert len(lines) == 4
    run("checkpoint")
    later = [json.loads(line)["row"]["action"] for line in run("export").stdout.splitlines()[4:]]
    assert later == ["key.used", "audit.exported"]


def test_a_moment_without_offset_is_refused(run):
    done = run("verify", "--since", "yesterday")
    assert done.exit_code != 0
    assert "--since" in str(done.exception)
