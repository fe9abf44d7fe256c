"""Compliance: judged by what is really stored, for one recipient and for a tenant, with the evidence beside it."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from adapters.postgres.message_types import MessageTypes
from cli.app import app
from cli.exit_codes import ExitCode
from tests.api import KEYS, settings_for
from tests.builders import a_type

PROVEN = {"status": "given", "source": "form", "text_version": "v3"}


@pytest.fixture
def run(tmp_path, databases, box, tenant, monkeypatch):
    settings_for(tmp_path, databases, box)
    given = {"DATA_DIR": str(tmp_path), "POSTGRES_URL": databases.app, "KEY_ENCRYPTION_KEYS": KEYS}
    given["REDIS_URL"] = "redis://127.0.0.1:1"
    for name, value in given.items():
        monkeypatch.setenv(f"KAIROS_{name}", value)
    return lambda *words: CliRunner().invoke(app, ["compliance", "report", "--tenant", tenant.tenant, *words])


def agree(api, purpose, who="r", **fields):
    answer = api.post(f"/v1/recipients/{who}/consents", json=PROVEN | {"purpose": purpose} | fields)
    assert answer.status_code == 200, answer.text


def opened(api, who="r", number=1):
    event = {"source": "esp", "event_id": f"{who}-{number}", "type": "opened", "channel": "email", "recipient_id": who}
    answer = api.post("/v1/events", json=event | {"occurred_at": datetime.now(UTC).isoformat()})
    assert answer.status_code == 202, answer.text


def in_paris(api, who="r"):
    zone = {"name": "Europe/Paris", "source": "declared"}
    assert api.put(f"/v1/recipients/{who}/profile", json={"country": "FR", "time_zone": zone}).status_code == 200


def duties(api, who="r"):
    answer = api.get(f"/v1/recipients/{who}/compliance")
    assert answer.status_code == 200, answer.text
    return {each["rule"]: each for each in answer.json()["duties"]}


def test_only_rules_of_where_the_recipient_may_be_are_told(api):
    in_paris(api)
    assert "cnil.open_tracking" in duties(api)
    assert "tcpa.calling_hours" not in duties(api)
    assert "cnil.open_tracking" not in duties(api, "somebody-in-the-tenants-zone")


def test_an_open_measured_without_consent_is_found_and_one_with_consent_is_not(api):
    in_paris(api)
    in_paris(api, "q")
    agree(api, "open_tracking", "q")
    opened(api)
    opened(api, "q")
    found = duties(api)["cnil.open_tracking"]
    assert (found["is_met"], found["evidence"]) == (False, {"opens_of_mail": 1, "measured_without_consent": 1})
    assert found["source"].startswith("CNIL")
    fine = duties(api, "q")["cnil.open_tracking"]
    assert (fine["is_met"], fine["evidence"]["opens_of_mail"]) == (True, 1)


def test_a_consent_without_the_text_that_was_seen_is_no_proof(api):
    in_paris(api)
    agree(api, "marketing")
    assert duties(api)["gdpr.consent"]["evidence"]["consents_given"] == 1
    assert duties(api)["gdpr.consent"]["is_met"] is True
    agree(api, "marketing", channel="email", text_version=None)
    found = duties(api)["gdpr.consent"]
    assert (found["is_met"], found["evidence"]["without_full_proof"]) == (False, 1)


def test_decisions_about_the_recipient_are_judged_and_no_others(api, db, tenant):
    MessageTypes(db).publish(tenant, [a_type(**{"class": "transactional"})], actor="t")
    for who in ("r", "r", "q"):
        assert api.post("/v1/decisions", json={"recipient_id": who, "message": {"type": "news"}}).status_code == 200
    in_paris(api)
    assert duties(api)["gdpr.explanation"]["evidence"] == {"decisions": 2, "without_reason_or_versions": 0}


def test_a_tenant_is_judged_whole_and_the_assessment_holds_what_was_counted(api, run, db, tenant):
    MessageTypes(db).publish(tenant, [a_type(**{"class": "transactional"})], actor="t")
    in_paris(api)
    agree(api, "open_tracking")
    agree(api, "marketing", "q")
    opened(api)
    api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}})
    done = run("--json")
    assert done.exit_code == 0, done.output
    # The service logs into the same stream, from its own thread.
    told = json.loads(next(line for line in done.stdout.splitlines() if "impact_assessment" in line))
    assert (told["not_met"], told["not_judged"]) == (0, 0)
    assert told["met"] == len(told["duties"])
    impact = told["impact_assessment"]
    purposes = {each["purpose"]: each for each in impact["purposes"]}
    assert purposes["open_tracking"]["people_by_status"] == {"given": 1}
    assert purposes["location"]["people_by_status"] == {}
    people = impact["people"]
    assert (people["profiles"], people["with_events"], people["events"], people["decided_about"]) == (1, 1, 1, 1)
    assert impact["automated_decisions"]["by_outcome"] == {"send_now": 1}
    assert impact["safeguards"]["profiles_sealed"] == 1
    assert "gdpr.consent" in run().stdout


def test_a_duty_that_is_not_met_is_the_commands_exit_code(api, run):
    in_paris(api)
    opened(api)
    done = run()
    assert done.exit_code == ExitCode.FAILED
    assert "NOT MET: cnil.open_tracking" in done.stdout


def test_both_readings_are_audited(api, run):
    duties(api)
    run()
    rows = api.get("/v1/audit", params={"action": "compliance.read"}).json()["entries"]
    assert [row["actor"].split(":")[0] for row in rows] == ["operator", "key"]
    assert [row["subject_key"] is None for row in rows] == [True, False]
