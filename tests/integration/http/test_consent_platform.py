"""A consent platform's records over the API: a verdict on each, effective with the answer, and once."""

from tests.unit.domain.test_consent_platform import FULL


def send(api, *records):
    answer = api.post("/v1/consent-platform/records", json={"platform": "cmp", "records": list(records)})
    assert answer.status_code == 200, answer.text
    return [each["verdict"] for each in answer.json()["verdicts"]], answer.json()


def standing(api, recipient="r"):
    consents = api.get(f"/v1/recipients/{recipient}/consents").json()["consents"]
    return {(each["purpose"], each["channel"]): each["status"] for each in consents}


def test_each_record_gets_its_own_verdict_and_the_good_ones_count(api):
    unproven = FULL | {"record_id": "c-2", "recipient_id": "q", "text_version": None}
    verdicts, answer = send(api, FULL, unproven, {"status": "withdrawn", "recipient_id": "p", "purpose": "analytics"})
    assert verdicts == ["recorded", "rejected", "recorded"]
    assert (answer["recorded"], answer["rejected"], answer["verdicts"][1]["field"]) == (2, 1, "text_version")
    assert standing(api) == {("marketing", "email"): "given"}
    assert standing(api, "q") == {}
    assert standing(api, "p") == {("analytics", "*"): "withdrawn"}
    (record,) = api.get("/v1/recipients/r/consents/export").json()["records"]
    assert record["events"][0]["proof"]["missing"] == []
    assert "192.0.2.7" not in api.get("/v1/recipients/r/consents/export").text


def test_what_comes_again_is_known_and_leaves_no_second_record(api):
    withdrawal = {"status": "withdrawn", "recipient_id": "r", "purpose": "marketing"}
    assert send(api, FULL, FULL)[0] == ["recorded", "known"]
    assert send(api, FULL)[0] == ["known"]
    assert send(api, withdrawal)[0] == ["recorded"]
    assert send(api, withdrawal)[0] == ["known"]
    history = api.get("/v1/recipients/r/consents").json()["history"]
    assert [each["status"] for each in history] == ["given", "withdrawn"]


def test_an_old_grant_brings_no_withdrawn_consent_back(api):
    api.post("/v1/recipients/r/consents/withdraw", json={})
    assert send(api, FULL)[0] == ["recorded"]
    report = api.get("/v1/recipients/r/consent-report").json()["purposes"]
    assert {each["purpose"]: each["permitted"] for each in report}["marketing"] == []


def test_a_body_that_is_no_batch_is_refused_whole(api):
    for body in ({"platform": "cmp", "records": []}, {"platform": "CMP!", "records": [FULL]}, {"records": [FULL]}):
        assert api.post("/v1/consent-platform/records", json=body).status_code == 422
    assert standing(api) == {}
