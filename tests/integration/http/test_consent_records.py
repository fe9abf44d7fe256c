"""Consent records over the API: exported with their proof, reported by purpose, and audited when read."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jsonschema import Draft202012Validator

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/contracts/consent_record.schema.json").read_text())
GIVEN = {"purpose": "open_tracking", "status": "granted", "source": "form", "text_version": "v3", "proof": {"form": 7}}


def say(api, **fields):
    answer = api.post("/v1/recipients/r/consents", json=GIVEN | fields)
    assert answer.status_code == 200, answer.text


def test_an_export_has_every_consent_with_its_proof_and_fits_the_published_schema(api):
    say(api, address="a@example.org")
    say(api, purpose="marketing", status="pending", channel="email")
    answer = api.get("/v1/recipients/r/consents/export")
    Draft202012Validator(SCHEMA).validate(answer.json())
    assert "a@example.org" not in answer.text
    asked, given = answer.json()["records"]
    assert (asked["state"], given["state"]) == ("requested", "given")
    proof = given["events"][0]["proof"]
    assert (proof["text_version"], proof["source"], proof["evidence"], proof["missing"]) == (
        "v3",
        "form",
        {"form": 7},
        [],
    )
    assert len(proof["address_hash"]) == 64
    assert given["events"][0]["entity_id"].startswith("key:")


def test_a_consent_that_has_ended_is_told_as_expired(api):
    now = datetime.now(UTC)
    until = {"effective_at": (now - timedelta(days=2)).isoformat(), "expires_at": (now - timedelta(days=1)).isoformat()}
    say(api, **until)
    (record,) = api.get("/v1/recipients/r/consents/export").json()["records"]
    assert (record["state"], [each["event_type"] for each in record["events"]]) == ("expired", ["recorded", "lapsed"])
    purposes = {each["purpose"]: each for each in api.get("/v1/recipients/r/consent-report").json()["purposes"]}
    assert purposes["open_tracking"]["refused"]["email"] == "consent.expired"
    assert purposes["open_tracking"]["standing"][0]["missing_proof"] == ["address_hash"]


def test_reading_either_is_audited(api):
    say(api)
    api.get("/v1/recipients/r/consents/export")
    api.get("/v1/recipients/r/consent-report")
    read = api.get("/v1/audit", params={"recipient_id": "r", "action": "consent.read"}).json()["entries"]
    assert len(read) == 2
