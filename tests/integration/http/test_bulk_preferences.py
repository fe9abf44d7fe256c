"""The same preferences for many recipients: a job with a verdict on each, effective for decisions."""

import time

import pytest

from tests.pages import walked

OFF = {"value": {"enabled": False}}
WAIT_SECONDS = 180


def finished(api, job_id):
    deadline = time.monotonic() + WAIT_SECONDS
    while (job := api.get(f"/v1/jobs/{job_id}").json())["state"] not in ("done", "failed"):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def test_every_recipient_gets_all_or_none_and_a_verdict(api):
    api.delete("/v1/recipients/gone/profile")
    named = [*(f"r{n}" for n in range(60)), "gone"]
    sms_off = {"scope": {"channel": "sms"}, "value": {"frequency": "never"}}
    answer = api.post("/v1/preferences/bulk", json={"recipient_ids": named, "preferences": [OFF, sms_off]})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    job = finished(api, answer.json()["job_id"])
    assert (job["state"], job["done"], job["refused"]) == ("done", 61, 1)
    results = api.get(f"/v1/jobs/{job['job_id']}/results").json()
    assert [each["position"] for each in results["results"] if each["verdict"] == "refused"] == [60]
    assert results["results"][60]["detail"]["field"] == "recipient_ids"
    assert len(api.get("/v1/recipients/r59/preferences").json()["preferences"]) == 2
    assert api.get("/v1/recipients/gone/preferences").json()["preferences"] == []


def test_pages_of_verdicts_meet(api):
    job = api.post("/v1/preferences/bulk", json={"recipient_ids": ["a", "b", "c"], "preferences": [OFF]}).json()
    finished(api, job["job_id"])
    where = f"/v1/jobs/{job['job_id']}/results"
    assert [each["position"] for each in walked(api, where, "results", limit=2)] == [0, 1, 2]
    assert [each["position"] for each in walked(api, where, "results", limit=1, after=0)] == [1, 2]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"recipient_ids": ["a", "a"], "preferences": [OFF]}, ""),
        ({"recipient_ids": ["a"], "preferences": [OFF, OFF]}, ""),
        ({"recipient_ids": [], "preferences": [OFF]}, "recipient_ids"),
        ({"recipient_ids": ["a"], "preferences": []}, "preferences"),
        ({"recipient_ids": [f"r{n}" for n in range(10_001)], "preferences": [OFF]}, "recipient_ids"),
    ],
)
def test_what_is_no_bulk_is_refused_whole(api, body, field):
    answer = api.post("/v1/preferences/bulk", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_an_unknown_job_is_not_found(api):
    assert api.get("/v1/jobs/00000000-0000-0000-0000-000000000000").status_code == 404
