"""``kairos rules``: a change of hours is held against what was really decided, and nothing is decided anew."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from sqlalchemy import func, select
from typer.testing import CliRunner

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import decision
from adapters.postgres.tenants import Tenants
from cli.app import app
from cli.exit_codes import ExitCode
from domain.consent import ConsentChange, ConsentStatus
from domain.values import Purpose
from tests.api import KEYS, settings_for
from tests.builders import NOON, RULES, a_type

ON_SMS = {"channels": ["sms"], "variants": [{"id": "a", "content": {"sms": {"body": "b"}}}]}


@pytest.fixture
def run(tmp_path, databases, box, monkeypatch):
    settings_for(tmp_path, databases, box)
    given = {"DATA_DIR": str(tmp_path), "POSTGRES_URL": databases.app, "KEY_ENCRYPTION_KEYS": KEYS}
    given["REDIS_URL"] = "redis://127.0.0.1:1"
    for name, value in given.items():
        monkeypatch.setenv(f"KAIROS_{name}", value)
    return lambda *words: CliRunner().invoke(app, ["rules", *words])


@pytest.fixture
def later(tmp_path):
    """A rule set in which texts go from 13 on."""
    document = RULES.model_dump(mode="json") | {"version": "later"}
    for rule in document["rules"]:
        if rule["id"] == "tcpa.calling_hours":
            rule["window"]["opens"] = 13
    path = tmp_path / "later.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.fixture
def texts(api, db, box, tenant):
    """Two marketing texts asked for at noon and one warning; returns what was answered, warning last."""
    Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    warning = a_type(type="warning", **{"class": "transactional"}, **ON_SMS)
    MessageTypes(db).publish(tenant, [a_type(**ON_SMS), warning], actor="t")
    given = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
    ConsentStore(db).record(tenant, "r", [given], actor="t", now=NOON)
    asked = [{"recipient_id": "r", "message": {"type": kind}} for kind in ("news", "news", "warning")]
    return [api.post("/v1/decisions", json=body).json() for body in asked]


def document(done):
    """Return what was printed; the service logs into the same stream, from its own thread."""
    return json.loads(next(line for line in done.stdout.splitlines() if '"by_effect"' in line))


def test_a_change_of_hours_names_the_decisions_it_would_have_met_and_changes_none(run, db, tenant, texts, later):
    done = run("diff", RULES.version, later, "--since", "2026-03-01", "--tenant", tenant.tenant, "--json")
    assert done.exit_code == 0, done.output
    told = document(done)
    assert (told["compared"], told["altered"]) == (3, 2)
    assert told["by_rule"] == [{"rule": "tcpa.calling_hours", "channel": "sms", "direction": "closed", "decisions": 2}]
    sent = [each["decision_id"] for each in texts[:2] if each["outcome"] == "send_now"]
    stopped = [each["decision_id"] for each in told["decisions"] if each["effect"] == "would_not_have_been_sent"]
    assert sorted(stopped) == sorted(sent)
    with db.tenant(tenant.tenant) as connection:
        assert connection.execute(select(func.count()).select_from(decision)).scalar_one() == 3
    shown = run("diff", RULES.version, later, "--since", "2026-03-01", "--tenant", tenant.tenant).stdout
    assert "2 of 3 decisions" in shown
    assert "tcpa.calling_hours sms closed: 2" in shown


def test_decisions_before_the_date_and_equal_rules_are_not_told(run, tenant, texts, later):
    words = ("--tenant", tenant.tenant, "--json")
    late = document(run("diff", RULES.version, later, "--since", "2026-03-02T17:30:00Z", *words))
    assert (late["compared"], late["altered"]) == (0, 0)
    same = document(run("diff", RULES.version, RULES.version, "--since", "2026-03-01", *words))
    assert (same["compared"], same["altered"]) == (3, 0)


def test_reading_decisions_leaves_a_row_in_the_trail(run, api, tenant, texts, later):
    run("diff", RULES.version, later, "--since", "2026-03-01", "--tenant", tenant.tenant)
    (row,) = api.get("/v1/audit", params={"action": "decision.history_read"}).json()["entries"]
    assert row["actor"] == "operator"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("diff", "2026-11", "1999-01", "--since", "2026-03-01"), "there is no rule set 1999-01"),
        (("diff", "2026-11", "no-such.yaml", "--since", "2026-03-01"), "no-such.yaml: cannot be read"),
        (("diff", "2026-11", "2026-11", "--since", "yesterday"), "--since: expected a date"),
        (("diff", "2026-11", "2026-11", "--since", "2026-03-01", "--tenant", "nobody"), "there is no tenant 'nobody'"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(run, words, told):
    done = run(*words)
    assert done.exception.code is ExitCode.USAGE
    assert told in str(done.exception)


def test_rules_are_listed_with_their_sources(run):
    assert RULES.version in run("list").stdout
    rules = [json.loads(line) for line in run("list", RULES.version, "--json").stdout.splitlines()]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES.rules]
    assert all(rule["source"] for rule in rules)
