"""Erasure over HTTP: accepted, suppressed at once, and a receipt that names every place."""

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
