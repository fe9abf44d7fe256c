"""Scores in a job: a recipient's are those a decision would use, features' are the model's own."""

from types import SimpleNamespace

import numpy as np
import pytest

from adapters.clock import Clock
from domain.expected import ChannelTerms, Expected
from domain.gates import Screened
from domain.values import Channel
from serving.score_jobs import ScoreJobs
from serving.situations import UnknownType
from tests.builders import NOON


class Scorer:
    features = ("purchase_count_30d", "opened_count_30d")

    def score(self, matrix):
        return np.where(np.isnan(matrix[:, 0]), 0.1, matrix[:, 0] / 10)


class Decider:
    """Knows one person who may be mailed, one whom no channel reaches, and one without a model's word."""

    def consider(self, _tenant, asks, **_):
        return [self._one(ask.request) for ask in asks]

    def _one(self, request):
        if request.message.type == "unknown":
            return UnknownType("no such type")
        p = None if request.recipient_id == "silent" else 0.25
        permitted = () if request.recipient_id == "unreachable" else (Channel.EMAIL,)
        expected = Expected(channels={channel: ChannelTerms(p_convert=p) for channel in permitted})
        return SimpleNamespace(expected=expected), Screened(permitted=permitted, refusals=())


@pytest.fixture(autouse=True)
def trail(monkeypatch):
    """What goes to the audit trail, which is PostgreSQL's to keep."""
    told = []
    monkeypatch.setattr("adapters.postgres.audit.write", lambda _connection, _tenant, entries: told.extend(entries))
    return told


MODEL = SimpleNamespace(name="engagement", version="7", scorer=Scorer())


def results(items, model=MODEL, places=None):
    jobs = ScoreJobs(Decider(), lambda: model, Clock(lambda: NOON))
    tenant = SimpleNamespace(clock_offset_seconds=0)
    return jobs.do(None, tenant, {"items": items}, places or range(len(items)), "actor")


def test_each_item_gets_its_numbers_and_the_version_they_came_from():
    person = {"recipient_id": "r", "message_type": "news"}
    by_person, by_features, by_nothing = results([person, {"features": {"purchase_count_30d": 3}}, {"features": {}}])
    assert by_person.detail == {"p_convert": {"email": 0.25}, "model": "engagement", "version": "7"}
    assert by_features.detail["p_convert"] == pytest.approx(0.3)
    assert by_nothing.detail["p_convert"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("item", "field", "expected"),
    [
        ({"recipient_id": "r", "message_type": "unknown"}, "items.0.message_type", "published"),
        ({"recipient_id": "unreachable", "message_type": "news"}, "items.0.recipient_id", "some channel"),
        ({"recipient_id": "silent", "message_type": "news"}, "items.0.recipient_id", "personalization"),
        ({"features": {"shoe_size": 42}}, "items.0.features.shoe_size", "a feature of the model"),
        ({"features": {"purchase_count_30d": 1e300}}, "items.0.features", "32 bits"),
    ],
)
def test_a_refusal_names_the_field_and_what_was_expected(item, field, expected):
    [refused] = results([item])
    assert (refused.verdict, refused.detail["field"]) == ("refused", field)
    assert expected in refused.detail["expected"]


def test_without_a_model_every_item_is_refused():
    items = [{"features": {}}, {"recipient_id": "r", "message_type": "news"}]
    assert [each.verdict for each in results(items, model=None)] == ["refused", "refused"]


def test_of_a_long_job_only_what_is_done_now_is_read():
    [second] = results(["not read", {"features": {}}, "nor this"], places=range(1, 2))
    assert (second.position, second.verdict) == (1, "done")


def test_everybody_whose_data_are_read_is_in_the_trail_once(trail):
    people = [{"recipient_id": who, "message_type": "news"} for who in ("r", "s", "r")]
    results([*people, {"features": {}}])
    assert [(each.action, each.recipient_id, each.actor) for each in trail] == [
        ("recipient.scored", "r", "actor"),
        ("recipient.scored", "s", "actor"),
    ]
