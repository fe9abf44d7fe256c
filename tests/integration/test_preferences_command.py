"""``kairos preferences import``: denials always count, allows only where nothing was said, a trial stores nothing."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.consent import ConsentStore
from adapters.postgres.preference_sync import PreferenceSync
from adapters.postgres.preferences import Preferences
from cli.app import app
from domain.preference_edits import DeviceEdits
from domain.preferences import Preference
from tests.api import KEYS, settings_for

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def imported(tmp_path, databases, box, db, tenant, monkeypatch):
    settings = settings_for(tmp_path, databases, box)
    monkeypatch.setenv("KAIROS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KAIROS_POSTGRES_URL", settings.postgres_url.get_secret_value())
    monkeypatch.setenv("KAIROS_REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("KAIROS_KEY_ENCRYPTION_KEYS", KEYS)
    monkeypatch.setenv("KAIROS_API_KEY", ApiKeys(db, box).issue(tenant.tenant, name="test"))

    def run(source, *rows, options=()):
        path = tmp_path / "rows"
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        result = CliRunner().invoke(app, ["preferences", "import", str(path), "--from", source, "--json", *options])
        return result, [json.loads(line) for line in result.stdout.splitlines()]

    return run


@pytest.fixture
def stored(db, tenant):
    return lambda: {
        (each.preference.scope.channel, each.preference.scope.content_type): each.preference.value.enabled
        for each in Preferences(db).all(tenant, "r", actor="test")
    }


def put(db, tenant, channel, *, enabled):
    body = {"scope": {"channel": channel}, "value": {"enabled": enabled}}
    Preferences(db).put(tenant, "r", Preference.model_validate(body), actor="test")


def test_a_denial_always_counts_and_an_allow_only_where_nothing_was_said(imported, stored, db, tenant):
    put(db, tenant, "email", enabled=True)
    put(db, tenant, "sms", enabled=False)
    types = {"email": False, "sms": True, "push": True}
    _, told = imported("knock", {"id": "r", "channel_types": types})
    assert stored() == {("email", None): False, ("sms", None): False, ("push", None): True}
    assert (told[0]["denied"], told[0]["allowed"], told[0]["kept_back"]) == (1, 1, 1)
    _, again = imported("knock", {"id": "r", "channel_types": types})
    assert (again[0]["denied"], again[0]["allowed"], again[0]["present"]) == (0, 0, 1)


def test_an_allow_does_not_overrule_a_more_general_denial_of_the_same_row(imported, stored):
    imported("novu", {"subscriberId": "r", "enabled": False, "channels": {"email": True}})
    assert stored() == {("*", None): False}


def test_an_allow_comes_too_late_where_a_device_spoke_or_something_was_deleted(imported, stored, db, tenant):
    edit = {"number": 1, "at": NOW.isoformat(), "scope": {"channel": "email"}, "value": None}
    sent = DeviceEdits.model_validate_json(json.dumps({"device": "phone", "edits": [edit]}))
    PreferenceSync(db).take(tenant, "r", sent, actor="test", now=NOW)
    put(db, tenant, "sms", enabled=True)
    (there,) = Preferences(db).all(tenant, "r", actor="test")
    Preferences(db).delete(tenant, "r", there.preference_id, actor="test", now=NOW)
    _, told = imported("novu", {"subscriberId": "r", "channels": {"email": True, "sms": True}})
    assert (stored(), told[0]["kept_back"]) == ({}, 2)


def test_a_commercial_refusal_withdraws_consent_once_and_a_subscription_grants_none(imported, db, tenant):
    imported("knock", {"id": "r", "commercial_subscribed": True})
    assert ConsentStore(db).allowances(tenant, "r").consents == ()
    for denied in (1, 0):
        _, told = imported("knock", {"id": "r", "commercial_subscribed": False})
        assert told[0]["denied"] == denied
    (held,) = ConsentStore(db).allowances(tenant, "r").consents
    assert (held.purpose, held.channel, held.status) == ("marketing", "*", "withdrawn")


def test_a_trial_tells_the_same_and_stores_nothing(imported, stored, db, tenant):
    row = {"id": "r", "channel_types": {"email": False}, "commercial_subscribed": False}
    _, told = imported("knock", row, options=["--dry-run"])
    assert (told[0]["denied"], told[-1]["dry_run"], stored()) == (2, True, {})
    assert ConsentStore(db).allowances(tenant, "r").consents == ()
    _, done = imported("knock", row)
    assert done[0] == told[0]


def test_a_bad_row_is_refused_by_its_number_and_the_others_count(imported, stored):
    header, good, bad = "recipient_id,channel,enabled", "r,email,false", "r,fax,false"
    result, told = imported("csv", header, bad, good)
    assert stored() == {("email", None): False}
    assert [(each["row"], each["refused"] is None) for each in told[:-1]] == [(1, False), (2, True)]
    assert told[-1]["totals"]["refused"] == 1
    assert result.exit_code != 0


def test_a_file_of_something_else_and_a_key_of_another_tenant_are_refused(imported, stored):
    assert imported("csv", "who,what", "r,no")[0].exit_code != 0
    assert imported("csv", "recipient_id,enabled", "r,false", options=["--tenant", "another"])[0].exit_code != 0
    assert stored() == {}
