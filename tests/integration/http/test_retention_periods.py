"""Periods of retention over HTTP: they are shortened, by the tenant and for a recipient, and never made longer."""


def test_a_tenant_shortens_and_never_lengthens(api):
    assert api.get("/v1/retention").json()["days"]["events"] == 1095
    assert api.put("/v1/retention", json={"what": "events", "days": 90}).json()["days"]["events"] == 90
    longer = api.put("/v1/retention", json={"what": "events", "days": 91})
    assert (longer.status_code, longer.json()["code"]) == (409, "retention.not_shorter")
    assert api.get("/v1/retention").json()["days"]["events"] == 90


def test_a_recipient_shortens_their_own(api):
    where = "/v1/recipients/r/retention"
    assert api.put(where, json={"days": 30}).json() == {"days": 30}
    assert api.put(where, json={"days": 31}).status_code == 409
    assert api.put(where, json={"days": 0}).json()["field"] == "days"
    assert api.put("/v1/retention", json={"what": "moon", "days": 5}).json()["field"] == "what"
