"""A run as events: each is one of the contract, each thing that happened is told once."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from domain import ingest
from domain.events import EventType
from models.simulator import events
from models.simulator.policies import by_name
from models.simulator.run import simulate
from models.simulator.scenarios import SCENARIOS

START = datetime(2025, 1, 6, tzinfo=UTC)


def told(policy="cap:21", *, people=200, days=14, name="t"):
    run = simulate(SCENARIOS["easy"], by_name(policy), people=people, days=days, seed=8)
    return run, list(events.nested(events.table(run, name=name, start=START)))


@pytest.mark.parametrize("policy", ["cap:21", "cap:7:email", "cap:7:sms", "none"])
def test_every_event_is_accepted_by_the_contract(policy):
    _, made = told(policy)
    refused = [item.rejection for item in map(ingest.parse, made, range(len(made))) if item.event is None]
    assert refused == []


def test_everything_that_happened_is_told_exactly_once():
    run, made = told("cap:21", people=500)
    kinds = Counter(event["type"] for event in made)
    assert kinds == {
        EventType.NOTIFICATION_SENT: len(run.sends),
        EventType.OPENED: run.sends["opened"].sum(),
        EventType.CONVERTED: run.sends["bought"].sum(),
        EventType.UNSUBSCRIBED: run.sends["opted_out"].sum(),
        EventType.APP_OPENED: len(run.visits),
    }
    assert len({event["event_id"] for event in made}) == len(made)


def test_an_answer_belongs_to_its_message_and_comes_after_it():
    _, made = told()
    sent = {event["decision_id"]: event for event in made if event["type"] == "notification_sent"}
    answers = [event for event in made if event["type"] not in ("notification_sent", "app_opened")]
    assert len(answers) > 20
    for answer in answers:
        message = sent[answer["decision_id"]]
        assert answer["recipient_id"] == message["recipient_id"]
        assert answer["variant_id"] == message["variant_id"]
        assert answer["occurred_at"] >= message["occurred_at"]


def test_an_e_mail_is_answered_by_a_click():
    _, made = told("cap:21:email")
    kinds = {event["type"] for event in made}
    assert "clicked" in kinds
    assert "opened" not in kinds


def test_events_come_in_the_order_of_time_from_the_start():
    _, made = told()
    moments = [ingest.parse(event, 0).event.occurred_at for event in made]
    assert moments == sorted(moments)
    assert START <= moments[0] < START + timedelta(days=1)


def test_the_probability_of_the_variant_is_told_with_the_message():
    run, made = told()
    told_sends = [event["properties"] for event in made if event["type"] == "notification_sent"]
    assert {round(each["action_probability"], 9) for each in told_sends} == set(run.sends["probability"].round(9))


def test_runs_of_two_names_share_no_id_and_no_recipient():
    ids = [
        {event[key] for event in told(people=20, name=name)[1] for key in ("event_id", "recipient_id")}
        for name in ("a", "b")
    ]
    assert not ids[0] & ids[1]
