"""Erasure over HTTP: accepted, suppressed at once, and a receipt that names every place."""

from sqlalchemy import text

from adapters.personal_data.places import Person
from adapters.personal_data.postgres_places import Table

PROFILE = "/v1/recipients/r/profile"


def test_a_request_is_accepted_suppresses_and_has_a_receipt(api):
    api.put(PROFILE, json={"city": "Laval"})
    asked = api.post("/v1/recipients/r/erasure", json={})
    assert asked.status_code == 202
    assert api.get(PROFILE).status_code == 404
    receipt = api.get(f"/v1/erasures/{asked.json()['erasure_id']}").json()
    assert receipt == asked.json()
    assert (receipt["is_done"], receipt["done"]) == (False, {})
    assert {"subject_data_key", "event", "dead_letter", "lake", "online_features"} <= set(receipt["waiting"])
    assert "profile" in receipt["remains"]
    assert api.post("/v1/recipients/r/erasure", json={}).json()["erasure_id"] == receipt["erasure_id"]


def test_a_request_may_be_narrowed_on_a_stated_ground_only(api):
    for body in ({"keep": {"decision": ""}}, {"keep": {"moon": "legal hold"}}, {"all": True}):
        answer = api.post("/v1/recipients/r/erasure", json=body)
        assert answer.status_code == 422
    assert answer.json()["field"] == "all"
    assert api.put(PROFILE, json={}).status_code == 200
    kept = api.post("/v1/recipients/r/erasure", json={"keep": {"decision": "legal hold 17"}}).json()
    assert kept["keep"] == {"decision": "legal hold 17"}
    assert "decision" not in kept["waiting"]


def test_an_unknown_receipt_is_not_found(api):
    assert api.get("/v1/erasures/none").status_code == 404


def test_answers_kept_for_a_key_go_with_the_person_they_are_about(api, db, tenant):
    for who in ("r", "s"):
        answer = api.put(f"/v1/recipients/{who}/profile", json={"city": "Laval"}, headers={"Idempotency-Key": who})
        assert answer.status_code == 200
    asked = api.post("/v1/recipients/r/erasure", json={}, headers={"Idempotency-Key": "e"}).json()
    with db.tenant(tenant.tenant) as connection:
        person = Person(tenant, "r", asked["erasure_id"])
        assert Table("idempotency_record").erase(connection, person) == 2
        assert connection.execute(text("SELECT count(*) FROM idempotency_record")).scalar_one() == 1
