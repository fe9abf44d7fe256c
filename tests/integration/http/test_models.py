"""What models are and how they do, and scores in batches; without MLflow and without a model, both say so."""

from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy import make_url

from tests import live_decisions
from tests.integration.http.test_bulk_preferences import finished


@pytest.fixture
def decided(api, databases, tenant, postgres):
    """Three decisions of version 7, of which one was answered; their windows have closed."""
    url = make_url(postgres.admin_url).set(drivername="postgresql", database=make_url(databases.app).database)
    records = [live_decisions.a_record("engagement", "7", p) for p in (0.2, 0.3, 0.5)]
    first = datetime.now().astimezone() - timedelta(days=3)
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        live_decisions.put(connection, tenant.tenant, records, [False] * 3, first=first)
    converted = {
        "source": "shop",
        "event_id": "c-1",
        "type": "converted",
        "recipient_id": "r",
        "decision_id": "engagement-7-1",
        "occurred_at": (first + timedelta(hours=1)).isoformat(),
    }
    assert api.post("/v1/events", json={"events": [converted]}).status_code < 300


def test_a_version_tells_what_it_predicted_and_what_came_of_it(api, decided):
    told = api.get("/v1/models/engagement/versions/7").json()
    assert (told["live"]["decisions"], told["live"]["observed"]) == (3, 1)
    assert told["live"]["expected"] == pytest.approx(1.0)
    assert told["live"]["observed_expected"] == pytest.approx(1.0)
    assert {(each["channel"], each["message_type"]) for each in told["slices"]} == {("email", "coupon_a")}
    assert sum(each["decisions"] for each in told["slices"]) == 3
    assert (told["registry_answers"], told["run_id"]) == (False, None)
    [model] = api.get("/v1/models").json()["models"]
    assert (model["name"], model["versions"][0]["version"], model["versions"][0]["decisions"]) == ("engagement", "7", 3)


def test_another_tenants_version_is_not_found(api):
    assert api.get("/v1/models").json() == {"models": [], "registry_answers": False}
    assert api.get("/v1/models/engagement/versions/7").status_code == 404


def test_a_batch_of_scores_has_a_verdict_on_each_item_and_says_what_was_expected(api):
    items = [{"features": {"purchase_count_30d": 3}}, {"recipient_id": "r", "message_type": "nothing_of_this_name"}]
    answer = api.post("/v1/score", json={"items": items})
    assert answer.status_code == 202
    job = finished(api, answer.json()["job_id"])
    assert (job["state"], job["done"], job["refused"]) == ("done", 2, 2)
    results = api.get(f"/v1/jobs/{job['job_id']}/results").json()["results"]
    assert results[0]["detail"] == {"field": "items.0.features", "expected": "a model that serves; none does now"}
    assert results[1]["detail"]["field"] == "items.1.message_type"
    trail = api.get("/v1/audit", params={"recipient_id": "r"}).json()["entries"]
    assert "recipient.scored" in [row["action"] for row in trail], "what is known of r was read"


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"recipient_id": "r"},
        {"features": {}, "message_type": "news"},
        {"recipient_id": "r", "message_type": "news", "features": {}},
        {"features": {"x": "NaN"}},
    ],
)
def test_what_is_nothing_to_score_is_refused_whole(api, item):
    answer = api.post("/v1/score", json={"items": [item]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("items.0")
