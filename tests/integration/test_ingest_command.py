"""``kairos ingest``, ``deadletters``, ``tenants`` and ``keys``: every row accounted for, every refusal a sentence."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from cli.app import app
from cli.exit_codes import ExitCode, Refused
from domain.ingest import Counts
from tests.api import NOBODY_LISTENS, settings_for

ROWS = """\
ticket,store,sold_at,amount,customer,dept
1,7,2026-03-01 09:30,12.34,C1,GROCERY
2,7,never,1.00,C2,MEAT
3,7,2026-03-01 10:30,-0.5,C3,MEAT
"""
MAPPING = """\
time_zone: America/New_York
fields:
  source: {constant: tills}
  event_id: {template: "sale-{store}-{ticket}"}
  type: {constant: purchase}
  recipient_id: customer
  occurred_at: {column: sold_at, format: "%Y-%m-%d %H:%M"}
  value.minor: {column: amount, times: 100}
  value.currency: {constant: USD}
  properties.category: dept
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sales.csv").write_text(ROWS)
    (tmp_path / "map.yaml").write_text(MAPPING)
    return tmp_path


@pytest.fixture
def kairos(folder, databases, box, db, tenant, monkeypatch):
    settings = settings_for(folder, databases, box)
    monkeypatch.setenv("KAIROS_DATA_DIR", str(folder))
    monkeypatch.setenv("KAIROS_POSTGRES_URL", settings.postgres_url.get_secret_value())
    monkeypatch.setenv("KAIROS_REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("KAIROS_API_KEY", ApiKeys(db, box).issue(tenant.tenant, name="test"))
    monkeypatch.chdir(folder)
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.fixture
def books(db, tenant, settings):
    log = EventLog(db, EventEffects(), retention=settings.event_retention)
    return lambda: log.conservation(tenant.tenant)


def refusal(result):
    assert isinstance(result.exception, Refused), result.exception
    return str(result.exception)


def test_a_bad_row_in_the_middle_is_a_dead_letter_and_the_rest_is_stored(kairos, books):
    result = kairos("ingest", "sales.csv", "--mapping", "map.yaml")
    assert "sales.csv: 3 received = 2 stored + 0 duplicate + 1 dead" in result.stdout
    assert result.exit_code == 0
    assert books() == Counts(received=3, stored=2, dead=1)
    listed = kairos("deadletters").stdout
    assert "sales.csv:3  event.unmapped occurred_at: expected a time of the form %Y-%m-%d %H:%M" in listed


def test_a_repeat_stores_nothing_twice_and_the_books_still_balance(kairos, books):
    kairos("ingest", "sales.csv", "--mapping", "map.yaml")
    answer = json.loads(kairos("ingest", "sales.csv", "--mapping", "map.yaml", "--json").stdout)
    assert answer["files"] == {"sales.csv": {"received": 3, "stored": 0, "duplicate": 2, "dead": 1}}
    assert answer["books"] == {"received": 6, "stored": 2, "duplicate": 2, "dead": 2, "imbalance": 0}


def test_more_rows_than_one_batch_all_arrive(kairos, folder, books):
    lines = "".join(f"{n},7,2026-03-01 09:30,1,C{n % 50},D\n" for n in range(12_000))
    (folder / "sales.csv").write_text(ROWS.splitlines(keepends=True)[0] + lines)
    result = kairos("ingest", "sales.csv", "--mapping", "map.yaml")
    assert "12,000 received = 12,000 stored" in result.stdout
    assert result.stderr.count("received =") == 3
    assert books().stored == 12_000


def test_the_amounts_and_moments_are_those_of_the_file(kairos, db, tenant, settings):
    kairos("ingest", "sales.csv", "--mapping", "map.yaml")
    log = EventLog(db, EventEffects(), retention=settings.event_retention)
    day = datetime(2026, 3, 1, tzinfo=UTC)
    frame = log.recent(tenant.tenant, ["C1", "C3"], day, day.replace(day=2))
    assert frame.value_minor.tolist() == [1234, -50]
    assert frame.occurred_at.dt.strftime("%H:%M").tolist() == ["14:30", "15:30"]


def test_dead_letters_can_be_read_by_a_program(kairos):
    kairos("ingest", "sales.csv", "--mapping", "map.yaml")
    letter = json.loads(kairos("deadletters", "--json", "--limit", "1").stdout)
    assert (letter["origin"], letter["position"], letter["raw"]) == ("sales.csv", 3, "2,7,never,1.00,C2,MEAT\n")
    assert kairos("deadletters", "--since", "2100-01-01T00:00Z").stdout == "no dead letters\n"
    assert "--since" in refusal(kairos("deadletters", "--since", "yesterday"))


def test_a_dead_letter_cannot_forge_a_line_of_the_list(kairos, folder):
    (folder / "evil.jsonl").write_text(json.dumps({"a\n2026 forged\x1b[2J": 1}) + "\n")
    kairos("ingest", "evil.jsonl")
    listed = kairos("deadletters").stdout
    assert len(listed.splitlines()) == 1
    assert "\x1b" not in listed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.csv",), "none.csv: No such file or directory"),
        (("sales.csv",), "use --mapping"),
        (("sales.csv", "--mapping", "none.yaml"), "none.yaml: No such file or directory"),
        (("map.yaml",), "must end in one of"),
    ],
)
def test_what_cannot_be_read_at_all_is_an_error_and_nothing_is_stored(kairos, books, arguments, told):
    result = kairos("ingest", *arguments)
    assert told in refusal(result)
    assert result.exception.code is ExitCode.USAGE
    assert books() == Counts()


def test_without_a_valid_key_nothing_is_read(kairos, monkeypatch, db, box, tenant):
    monkeypatch.setenv("KAIROS_API_KEY", "kai_000000000000_" + "x" * 43)
    assert "not a valid key" in refusal(kairos("ingest", "sales.csv"))
    monkeypatch.setenv("KAIROS_API_KEY", ApiKeys(db, box).issue(tenant.tenant, name="n", scopes=("decisions:read",)))
    assert "lacks the permission events:write" in refusal(kairos("ingest", "sales.csv"))
    monkeypatch.delenv("KAIROS_API_KEY")
    assert "KAIROS_API_KEY is not set" in refusal(kairos("ingest", "sales.csv"))


def test_postgres_away_is_one_sentence(kairos, monkeypatch):
    monkeypatch.setenv("KAIROS_POSTGRES_URL", f"postgresql://kairos_app:secret@{NOBODY_LISTENS}/kairos")
    result = kairos("ingest", "sales.csv", "--mapping", "map.yaml")
    assert "PostgreSQL cannot do it now" in refusal(result)
    assert result.exception.code is ExitCode.NOT_RUNNING
    assert "secret" not in refusal(result)


def test_a_tenant_is_created_once_with_a_key_that_works(kairos, tenant, monkeypatch):
    name = f"{tenant.tenant}b"
    created = kairos("tenants", "create", name, "--time-zone", "Europe/Paris", "--sandbox").stdout
    monkeypatch.setenv("KAIROS_API_KEY", created.split()[-1])
    assert kairos("deadletters").stdout == "no dead letters\n"
    assert "exists already" in kairos("tenants", "create", name).stdout
    listed = [json.loads(line) for line in kairos("tenants", "list", "--json").stdout.splitlines()]
    [ours] = [each for each in listed if each["tenant"] == name]
    assert (ours["time_zone"], ours["is_sandbox"], "subject_secret" in ours) == ("Europe/Paris", True, False)


def test_only_a_sandbox_has_a_clock_that_can_be_set(kairos, tenant):
    assert "2018-01-02T15:00:0" in kairos("tenants", "clock", tenant.tenant, "--at", "2018-01-02T10:00:00-05:00").stdout
    real = f"{tenant.tenant}r"
    kairos("tenants", "create", real)
    assert "only a sandbox" in refusal(kairos("tenants", "clock", real, "--offset-seconds", "60"))
    assert "either --at or" in refusal(kairos("tenants", "clock", real))
    assert "there is no tenant" in refusal(kairos("tenants", "clock", "nobody", "--offset-seconds", "0"))
    assert "expected the name of a time zone" in refusal(kairos("tenants", "create", "x", "--time-zone", "Mars"))


def test_a_key_is_issued_and_revoked(kairos, tenant, monkeypatch):
    key = kairos("keys", "issue", tenant.tenant, "--name", "temporary", "--role", "operator").stdout.strip()
    monkeypatch.setenv("KAIROS_API_KEY", key)
    assert kairos("deadletters").exit_code == 0
    assert kairos("keys", "revoke", tenant.tenant, key.split("_")[1]).stdout == "revoked\n"
    assert "not a valid key" in refusal(kairos("deadletters"))
    assert "no key in force" in refusal(kairos("keys", "revoke", tenant.tenant, key.split("_")[1]))
    assert "there is no tenant" in refusal(kairos("keys", "issue", "nobody", "--name", "x"))
    misspelt = kairos("keys", "issue", tenant.tenant, "--name", "x", "--scope", "event:write")
    assert (misspelt.exit_code, "events:write" in misspelt.stderr) == (2, True)
