"""Previews over HTTP: each question is answered, and no row but that of the reading is written by any of them."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.schema import metadata
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_preview import Question
from domain.identity import subject_key
from domain.values import Purpose
from serving import decision_metrics
from tests.builders import NOON, a_type

WHERE = "/v1/decisions/preview"
READINGS = text("""
SELECT detail->>'question' FROM audit WHERE action = 'decision.previewed' AND subject_key = :subject ORDER BY audit_id
""")


@pytest.fixture
def world(db, box, tenant):
    shifted = Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON - timedelta(days=9)
    )
    ConsentStore(db).record(tenant, "r", [given], actor="test", now=NOON)
    return shifted


def ask(api, stage, recipient="r", **fields):
    message = {"type": "news"} | fields.pop("message", {})
    return api.post(WHERE, params={"stage": stage}, json={"recipient_id": recipient, "message": message} | fields)


def rows(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def counted():
    metrics = (decision_metrics.DECISIONS, decision_metrics.STAGE_SECONDS, decision_metrics.BATCH_ITEMS)
    found = (sample for metric in metrics for family in metric.collect() for sample in family.samples)
    return {(each.name, *each.labels.values()): each.value for each in found if not each.name.endswith("_created")}


@pytest.mark.parametrize("recipient", ["r", "somebody-new"])
def test_no_question_moves_a_metric_or_writes_a_row_but_that_it_was_asked(api, world, db, recipient):
    assert ask(api, "channel").status_code == 200  # the first use of a key is noted once
    before, moved = rows(db, world), counted()
    for stage in Question:
        answer = ask(api, stage.value, recipient, message={"urgency": "within_day"})
        assert (answer.status_code, answer.json()["stage"]) == (200, stage.value)
    after = rows(db, world)
    assert after.pop("audit") - before.pop("audit") == len(Question)
    assert (after, counted()) == (before, moved)
    with db.tenant(world.tenant) as connection:
        told = connection.execute(READINGS, {"subject": subject_key(world.subject_secret, recipient)}).scalars().all()
    assert told[-len(Question) :] == [stage.value for stage in Question]


def test_the_channels_chances_are_those_a_decision_is_drawn_with(api, world):
    told = ask(api, "channel").json()["chances"]
    made = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()
    stage = api.get(f"/v1/decisions/{made['decision_id']}").json()["stages"][0]
    assert [each["probability"] for each in told["options"]] == stage["probabilities"]
    assert told["policy"] == stage["policy"]


def test_a_refused_channel_says_why(api, world):
    told = ask(api, "channel", "stranger").json()
    assert (told["outcome"], told["reason"], told["chances"]) == ("suppress", "consent.missing", None)
    assert {each["reason"] for each in told["refusals"]} == {"consent.missing"}


def test_the_time_question_tells_openings_and_the_chances_of_hours(api, world, db, box):
    now = ask(api, "time").json()
    assert {datetime.fromisoformat(each["opens_at"]) - NOON < timedelta(minutes=5) for each in now["openings"]} == {
        True
    }
    patient = ask(api, "time", message={"urgency": "within_day"}).json()["chances"]
    assert len(patient["options"]) > 5
    assert sum(each["probability"] for each in patient["options"]) == pytest.approx(1.0)
    Tenants(db, box).shift_clock(world.tenant, (NOON + timedelta(hours=12) - datetime.now(UTC)).total_seconds())
    night = ask(api, "time").json()
    assert night["reason"] == "quiet_hours.now"
    assert {each["opens_at"] for each in night["openings"]} == {"2026-03-03T13:00:00Z"}


def test_words_are_shown_for_every_variant_whatever_the_gates_say(api, world):
    told = ask(api, "content", "stranger").json()["wordings"]
    assert {(each["channel"], each["variant_id"]) for each in told} == {
        (channel, variant) for channel in ("email", "push") for variant in ("a", "b")
    }
    assert all(each["content"]["body"] == "b" and each["probability"] == 0.5 for each in told)
    (subject, *_) = ask(api, "subject", channels=["email"]).json()["wordings"]
    assert (subject["subject"], subject["content"]) == ("s", None)
    formats = ask(api, "format", channels=["push"]).json()["wordings"]
    assert {each["channel"] for each in formats} == {"push"}
    assert formats[0]["capabilities"]["body_format"] == "text"


def test_words_that_cannot_be_filled_say_so_for_that_variant_alone(api, world, db, tenant):
    fine = {"email": {"subject": "s", "body": "b"}}
    variants = [
        {"id": "a", "content": {"email": {"subject": "s", "body": "{{ n | divided_by: 0 }}"}}},
        {"id": "b", "content": fine},
    ]
    MessageTypes(db).publish(tenant, [a_type(type="odd", channels=["email"], variants=variants)], actor="test")
    first, second = ask(api, "content", message={"type": "odd"}).json()["wordings"]
    assert first["content"] is None
    assert "cannot be filled" in first["problem"]
    assert second["content"]["body"] == "b"


def test_the_budget_and_weariness_follow_what_was_sent(api, world):
    fresh = ask(api, "fatigue").json()["fatigue"]
    rules = {each["rule"]["id"]: each["used"] for each in ask(api, "budget").json()["budget"]}
    assert rules["recipient_hour"] == 0
    sent = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()
    assert sent["outcome"] == "send_now"
    again = {each["rule"]["id"]: each["used"] for each in ask(api, "budget").json()["budget"]}
    assert again["recipient_hour"] == 1
    weary = ask(api, "fatigue").json()["fatigue"]
    assert weary[0]["fatigue"] > fresh[0]["fatigue"] == 0.0
    assert weary[0]["p_open"] < fresh[0]["p_open"]


def test_a_question_nobody_knows_and_a_type_nobody_published_are_refused_by_name(api, world):
    odd = ask(api, "mood")
    assert (odd.status_code, odd.json()["field"]) == (422, "query.stage")
    unknown = ask(api, "channel", message={"type": "none"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "message.unknown_type")
