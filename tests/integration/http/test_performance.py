"""Performance and strategies over HTTP: what came of messages, small groups withheld, and how one person stands."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.performance import LEAST_PEOPLE
from domain.values import Purpose
from tests.builders import NOON, a_type


@pytest.fixture
def world(db, box, tenant):
    """A tenant at noon; 24 people who consented."""
    shifted = Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    one = [{"id": "a", "content": {"email": {"subject": "s", "body": "b"}}}]
    MessageTypes(db).publish(tenant, [a_type(channels=["email"], variants=one)], actor="test")
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON - timedelta(days=9)
    )
    for number in range(LEAST_PEOPLE + 4):
        ConsentStore(db).record(shifted, f"p-{number}", [given], actor="test", now=NOON)
    return shifted


def decide(api, people, **message):
    asked = [{"request": {"recipient_id": f"p-{n}", "message": {"type": "news"} | message}} for n in range(people)]
    told = api.post("/v1/decisions/batch", json={"decisions": asked}).json()["verdicts"]
    return [each["decision"] for each in told]


def happened(api, kind, decision, person):
    event = {"source": "esp", "event_id": f"{kind}-{decision['decision_id']}", "type": kind, "channel": "email"}
    event |= {"recipient_id": f"p-{person}", "decision_id": decision["decision_id"], "occurred_at": NOON.isoformat()}
    answer = api.post("/v1/events", json=event | {"message_type": "news"})
    assert answer.status_code == 202, answer.text


def read(api, by, **query):
    answer = api.get(f"/v1/performance/{by}", params={"until": (NOON + timedelta(days=2)).isoformat()} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_came_of_messages_is_told_by_day_and_slice(api, world):
    made = decide(api, LEAST_PEOPLE)
    for person in range(3):
        happened(api, "opened", made[person], person)
    happened(api, "opened", made[0] | {"decision_id": made[0]["decision_id"]}, 0)
    (group,) = read(api, "channels")["groups"]
    assert (group["day"], group["slice"]) == ("2026-03-02", {"channel": "email"})
    assert (group["people"], group["sent"], group["opened"]) == (LEAST_PEOPLE, LEAST_PEOPLE, 3)
    assert group["open_share"] == pytest.approx(3 / LEAST_PEOPLE)
    (content,) = read(api, "content")["groups"]
    assert content["slice"] == {"message_type": "news", "variant_id": "a", "channel": "email"}
    assert read(api, "content", message_type="other")["groups"] == []


def test_a_group_of_too_few_people_is_withheld_and_counted(api, world):
    decide(api, LEAST_PEOPLE - 1)
    told = read(api, "channels")
    assert (told["groups"], told["withheld"], told["least_people"]) == ([], 1, LEAST_PEOPLE)


def test_timing_counts_only_messages_whose_hour_was_drawn(api, world):
    decide(api, LEAST_PEOPLE)
    told = read(api, "timing")
    assert (told["groups"], told["withheld"]) == ([], 0)
    drawn = decide(api, LEAST_PEOPLE, urgency="within_day")
    for person, each in enumerate(drawn):
        if each["outcome"] == "defer":
            happened(api, "notification_sent", each, person)
    told = read(api, "timing")
    assert told["withheld"] > 0
    assert all(group["slice"].keys() == {"channel", "local_hour"} for group in told["groups"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": (NOON + timedelta(days=3)).isoformat()}, "query.since"),
        ({"since": (NOON - timedelta(days=99)).isoformat()}, "query.since"),
        ({"since": "yesterday"}, "query.since"),
    ],
)
def test_moments_that_do_not_fit_are_refused_by_name(api, world, query, field):
    answer = api.get("/v1/performance/channels", params={"until": (NOON + timedelta(days=2)).isoformat()} | query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_strategy_follows_what_is_known_and_counts_nothing(api, world):
    where = "/v1/recipients/p-0/strategy"
    fresh = api.get(where, params={"channel": "email"}).json()
    assert (fresh["channel"], fresh["experiments"], fresh["fatigue"]) == ("email", [], 0.0)
    assert fresh["versions"]["business_rules"] == "0"
    assert fresh == api.get(where, params={"channel": "email"}).json() | {"as_of": fresh["as_of"]}
    decide(api, 1)
    weary = api.get(where, params={"channel": "email"}).json()
    assert weary["fatigue"] > 0
    assert weary["p_open"] < fresh["p_open"]
    refused = api.get(where, params={"channel": "sms"})
    assert (refused.status_code, refused.json()["code"]) == (422, "strategy.channel_not_offered")
