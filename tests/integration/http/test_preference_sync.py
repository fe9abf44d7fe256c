"""Edits from devices over HTTP: a denial survives every order, nothing is taken in twice, and decisions obey."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from adapters.postgres import audit
from adapters.postgres.engine import Unavailable
from adapters.postgres.preference_sync import PreferenceSync
from domain.preference_edits import DeviceEdits

BASE = "/v1/recipients/r/preferences"
EMAIL = {"channel": "email"}
ON, OFF = {"enabled": True}, {"enabled": False}
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def edit(number, value, *, seen=(), minute=0, **more):
    at = f"2026-03-02T09:{minute:02d}:00Z"
    return {"number": number, "seen": dict(seen), "at": at, "scope": EMAIL, "value": value} | more


def send(api, device, *edits, **more):
    answer = api.post(f"{BASE}/sync", json={"device": device, "edits": list(edits)} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def verdicts(answer):
    return [(each["number"], each["verdict"], each["is_repeated"]) for each in answer["verdicts"]]


def holds(api):
    return [each["preference"]["value"]["enabled"] for each in api.get(BASE).json()["preferences"]]


def test_a_denial_made_offline_beats_an_allow_that_did_not_know_of_it_whatever_arrives_first(api):
    assert verdicts(send(api, "phone", edit(1, ON, minute=50))) == [(1, "holds", False)]
    assert holds(api) == [True]
    assert verdicts(send(api, "laptop", edit(1, OFF, minute=1))) == [(1, "holds", False)]
    assert holds(api) == [False]
    assert verdicts(send(api, "phone", edit(2, ON, minute=59))) == [(2, "overruled", False)]
    assert holds(api) == [False]


def test_only_an_act_that_knew_of_the_denial_lifts_it(api):
    seen = send(api, "laptop", edit(1, OFF))["scopes"][0]["seen"]
    imported = send(api, "phone", edit(1, ON, seen=seen, by_recipient=False))
    assert verdicts(imported) == [(1, "overruled", False)]
    assert holds(api) == [False]
    assert verdicts(send(api, "phone", edit(2, ON, seen=seen))) == [(2, "holds", False)]
    assert holds(api) == [True]
    assert [v["is_deleted"] for v in history(api)] == [False, False]


def history(api):
    (stored,) = api.get(BASE).json()["preferences"]
    return api.get(f"{BASE}/{stored['preference_id']}/history").json()["versions"]


def test_what_is_sent_again_is_told_so_and_changes_nothing(api):
    first = send(api, "phone", edit(2, OFF, minute=2), edit(1, ON, minute=1))
    assert verdicts(first) == [(2, "holds", False), (1, "superseded", False)]
    again = send(api, "phone", edit(2, OFF, minute=2), edit(1, ON, minute=1))
    assert verdicts(again) == [(2, "holds", True), (1, "superseded", True)]
    assert again["scopes"] == first["scopes"]
    assert len(history(api)) == 1


def test_a_number_used_for_something_else_is_refused_and_the_others_are_taken_in(api):
    send(api, "phone", edit(1, OFF))
    mixed = send(api, "phone", edit(1, ON), edit(2, {"enabled": False, "frequency": "never"}))
    assert verdicts(mixed) == [(1, "number_reused", False), (2, "holds", False)]
    assert "has not used" in mixed["verdicts"][0]["expected"]
    assert holds(api) == [False]


def test_one_number_for_two_edits_of_one_request_is_refused_too(api):
    assert verdicts(send(api, "phone", edit(1, OFF), edit(1, ON))) == [(1, "holds", False), (1, "number_reused", False)]


def test_a_claim_to_have_seen_what_never_arrived_is_refused(api):
    assert verdicts(send(api, "laptop", edit(1, ON, seen={"phone": 900}))) == [(1, "seen_unknown", False)]
    assert verdicts(send(api, "phone", edit(1, OFF))) == [(1, "holds", False)]
    assert holds(api) == [False]


def test_what_is_put_directly_counts_as_knowing_all_that_arrived_and_nothing_that_did_not(api):
    send(api, "phone", edit(1, OFF))
    assert api.put(BASE, json={"scope": EMAIL, "value": ON}).status_code == 200
    assert verdicts(send(api, "phone", edit(1, OFF))) == [(1, "superseded", True)]
    assert holds(api) == [True]
    assert verdicts(send(api, "laptop", edit(1, OFF))) == [(1, "holds", False)]
    assert holds(api) == [False]


def test_a_denial_that_was_put_directly_is_not_lifted_by_an_edit_that_did_not_know_of_it(api):
    api.put(BASE, json={"scope": EMAIL, "value": OFF})
    assert verdicts(send(api, "phone", edit(1, ON))) == [(1, "overruled", False)]
    told = send(api, "phone", scopes=[EMAIL])["scopes"][0]
    assert told["holds"]["preference"]["value"]["enabled"] is False
    assert verdicts(send(api, "phone", edit(2, ON, seen=told["seen"]))) == [(2, "holds", False)]


def test_a_denial_still_on_its_way_is_not_lifted_by_who_saw_only_what_came_after_it(api):
    send(api, "phone", edit(2, ON, by_recipient=False))
    told = send(api, "laptop", scopes=[EMAIL])["scopes"][0]
    assert "phone" not in told["seen"]
    assert verdicts(send(api, "laptop", edit(1, ON, seen={"phone": 2}))) == [(1, "seen_unknown", False)]
    send(api, "laptop", edit(1, ON, seen=told["seen"]))
    assert verdicts(send(api, "phone", edit(1, OFF))) == [(1, "holds", False)]
    assert holds(api) == [False]


def test_taking_a_denial_back_needs_the_same_as_allowing(api):
    seen = send(api, "phone", edit(1, OFF))["scopes"][0]["seen"]
    assert verdicts(send(api, "laptop", edit(1, None))) == [(1, "overruled", False)]
    assert holds(api) == [False]
    assert verdicts(send(api, "laptop", edit(2, None, seen=seen))) == [(2, "holds", False)]
    assert holds(api) == []


def test_hours_that_never_come_are_a_denial(api):
    send(api, "phone", edit(1, {"windows": {}}))
    assert verdicts(send(api, "laptop", edit(1, ON))) == [(1, "overruled", False)]


def test_the_status_names_what_is_missing_and_the_log_has_every_edit_once(api):
    send(api, "phone", edit(1, ON), edit(4, OFF))
    send(api, "phone", edit(1, ON), edit(3, ON))
    (device,) = api.get(f"{BASE}/sync").json()["devices"]
    (scope,) = device["scopes"]
    assert (device["device"], scope["acknowledged"], scope["highest"]) == ("phone", 1, 4)
    assert scope["missing"] == [{"first": 2, "last": 2}]
    first = api.get(f"{BASE}/sync/log", params={"limit": 2}).json()
    rest = api.get(f"{BASE}/sync/log", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [each["number"] for each in first["edits"] + rest["edits"]] == [1, 4, 3]
    assert rest["next_cursor"] is None


def test_settings_outside_the_schema_are_refused_by_field_and_the_rest_is_taken_in(api):
    answer = send(api, "phone", edit(1, {"settings": {"a": 1}}), edit(2, OFF))
    assert verdicts(answer) == [(1, "not_allowed", False), (2, "holds", False)]
    assert answer["verdicts"][0]["expected"].startswith("value.settings: ")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"device": "server"}, "device"),
        ({"device": "Anna's phone"}, "device"),
        ({"device": "phone", "edits": [edit(0, OFF)]}, "edits.0.number"),
        ({"device": "phone", "edits": [edit(1, OFF, seen={"phone": 1})]}, "edits"),
    ],
)
def test_what_no_device_may_say_is_refused_whole(api, body, field):
    answer = api.post(f"{BASE}/sync", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert api.get(f"{BASE}/sync").json() == {"devices": []}


def test_a_connection_cut_before_the_commit_leaves_nothing_and_the_repetition_takes_all_in_once(
    api, db, tenant, monkeypatch
):
    edits = [edit(1, OFF, scope={"channel": channel}) for channel in ("email", "sms")]
    sent = DeviceEdits.model_validate_json(json.dumps({"device": "phone", "edits": edits}))
    whole = audit.write

    def cut(connection, *args):
        whole(connection, *args)
        if args[1][0].action == "preference_sync.synced":
            with db.begin() as other:
                pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
                assert other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}).scalar_one()

    sync = PreferenceSync(db)
    with monkeypatch.context() as patch:
        patch.setattr("adapters.postgres.preference_sync.audit.write", cut)
        with pytest.raises(Unavailable):
            sync.take(tenant, "r", sent, actor="test", now=NOW)
    assert api.get(BASE).json() == {"preferences": []}
    assert api.get(f"{BASE}/sync").json() == {"devices": []}
    told = sync.take(tenant, "r", sent, actor="test", now=NOW)
    assert [each.is_repeated for each in told.verdicts] == [False, False]
    assert holds(api) == [False, False]
