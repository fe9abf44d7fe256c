"""Scoring: which rung of the ladder answers, one reading and one prediction for a batch, and nothing guessed."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from adapters.feature_store import FeatureStoreUnavailable
from domain.circuit import Thresholds
from domain.consent import ConsentStatus
from domain.gates import screen
from domain.values import Channel, Purpose
from serving.breakers import Breaker
from serving.scoring import Scored, ToScore, score
from tests.builders import NOON, a_consent, a_request, a_situation, all_consents

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
HOUR = timedelta(hours=1)
FEATURES = ("login_count_30d", "last_login_age_hours", "channel_code", "message_type_code")


class Store:
    """Online features of a few recipients, read under the test's eyes."""

    def __init__(self, rows: dict[str, dict[str, object]] | Exception) -> None:
        self.rows = rows
        self.read: list[tuple[str, list[str]]] = []

    def online(self, tenant, recipient_ids, *, seconds=None):  # noqa: ARG002
        self.read.append((tenant, list(recipient_ids)))
        if isinstance(self.rows, Exception):
            raise self.rows
        names = ("engagement_as_of", "login_count_30d", "last_login_at")
        return {name: [self.rows.get(each, {}).get(name) for each in recipient_ids] for name in names}


class Scorer:
    """Answers with what the test says, and remembers what it was asked."""

    features = FEATURES

    def __init__(self, answer=None) -> None:
        self.vocabularies = {"channel": ("email", "push"), "message_type": ("news",)}
        self.answer = answer
        self.matrices: list[np.ndarray] = []

    def score(self, matrix):
        self.matrices.append(matrix)
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.linspace(0.1, 0.9, len(matrix))


def a_model(rows=None, answer=None):
    return SimpleNamespace(
        name="engagement", version="7", digest="d", run_id="r", feature_service="engagement_v1",
        scorer=Scorer(answer), store=Store(rows if rows is not None else {"r": a_row()}),
    )  # fmt: skip


def a_row(as_of: datetime = NOON - HOUR, **fields):
    return {"engagement_as_of": as_of, "login_count_30d": 4, "last_login_at": NOON - 3 * HOUR} | fields


def to_score(recipient="r", **request):
    situation = a_situation()
    asked = a_request(recipient_id=recipient, **request)
    return ToScore(recipient, situation, screen(asked, situation))


def only(model) -> Scored:
    (scored,) = score(model, "t", [to_score()])
    return scored


def test_fresh_features_are_scored_for_each_permitted_channel():
    scored = only(a_model())
    assert scored.degraded is None
    assert scored.p_convert == {EMAIL: pytest.approx(0.1), PUSH: pytest.approx(0.9)}
    assert scored.features["push"] == {
        "login_count_30d": 4.0,
        "last_login_age_hours": 3.0,
        "channel_code": 1.0,
        "message_type_code": 0.0,
    }
    assert scored.as_of == {"engagement_as_of": (NOON - HOUR).isoformat()}


@pytest.mark.parametrize(
    ("age", "degraded", "is_scored"),
    [
        (26 * HOUR, None, True),
        (26 * HOUR + timedelta(seconds=1), "stale_features", True),
        (50 * HOUR, "stale_features", True),
        (50 * HOUR + timedelta(seconds=1), "missing_features", False),
        (-61 * timedelta(seconds=1), "missing_features", False),
    ],
)
def test_old_features_are_flagged_and_then_not_used(age, degraded, is_scored):
    scored = only(a_model({"r": a_row(NOON - age)}))
    assert (scored.degraded, scored.p_convert is not None) == (degraded, is_scored)


def test_an_unknown_recipient_is_left_to_rules():
    assert only(a_model({})) == Scored(None, "missing_features", as_of={"engagement_as_of": None})


def test_a_missing_value_is_missing_and_never_zero():
    model = a_model({"r": a_row(login_count_30d=None, last_login_at=None)})
    scored = only(model)
    assert scored.degraded is None
    assert np.isnan(model.scorer.matrices[0][:, :2]).all()
    assert scored.features["email"]["login_count_30d"] is None


@pytest.mark.parametrize(
    ("model", "degraded"),
    [
        (None, "rules"),
        (a_model(FeatureStoreUnavailable("down")), "features_unavailable"),
        (a_model(answer=RuntimeError("boom")), "rules"),
    ],
)
def test_without_model_or_features_rules_answer_and_say_so(model, degraded):
    assert only(model) == Scored(None, degraded)


def test_a_batch_is_read_once_and_predicted_once():
    model = a_model({"r1": a_row(), "r3": a_row(NOON - 30 * HOUR)})
    asked = [to_score("r1"), to_score("r2"), to_score("r3", channels=["push"])]
    scored = score(model, "t", asked)
    assert model.store.read == [("t", ["r1", "r2", "r3"])]
    assert [matrix.shape for matrix in model.scorer.matrices] == [(5, 4)]
    assert [each.degraded for each in scored] == [None, "missing_features", "stale_features"]
    assert scored[2].p_convert == {PUSH: pytest.approx(0.9)}


def test_nothing_is_read_when_nothing_is_asked():
    model = a_model()
    assert score(model, "t", []) == []
    assert model.store.read == []


class OpenStore(Store):
    """Has features of opens as well."""

    def online(self, tenant, recipient_ids, *, seconds=None):  # noqa: ARG002
        names = ("open_rate_30d", "opened_count_30d", "last_opened_at", "delivery_as_of", "login_count_30d")
        rows = {"open_rate_30d": 0.5, "opened_count_30d": 3, "last_opened_at": NOON - HOUR, "login_count_30d": 4}
        told = rows | {"delivery_as_of": NOON - HOUR, "engagement_as_of": NOON - HOUR}
        return {name: [told[name] for _ in recipient_ids] for name in (*names, "engagement_as_of")}


@pytest.mark.parametrize(("status", "sees"), [("given", True), ("withdrawn", False), (None, True)])
def test_a_model_sees_no_opens_of_somebody_who_ended_open_tracking(status, sees):
    model = a_model()
    model.store = OpenStore({})
    model.scorer.features = ("open_rate_30d", "opened_count_30d", "last_opened_age_hours", "login_count_30d")
    said = () if status is None else (a_consent(ConsentStatus(status), purpose=Purpose.OPEN_TRACKING),)
    situation = a_situation(allowances={"consents": (*all_consents(), *said)})
    (scored,) = score(model, "t", [ToScore("r", situation, screen(a_request(), situation))])
    told = scored.features[EMAIL]
    assert [told[name] is not None for name in model.scorer.features] == [sees, sees, sees, True]
    assert scored.degraded is None


def test_an_open_breaker_spares_the_store_and_rules_answer():
    model = a_model(FeatureStoreUnavailable("away"))
    breaker = Breaker("features", failures=(FeatureStoreUnavailable,), thresholds=Thresholds(calls=2))
    asked = [to_score()]
    told = [score(model, "t", asked, breaker=breaker)[0].degraded for _ in range(5)]
    assert told == ["features_unavailable"] * 5
    assert len(model.store.read) == 2


def test_with_nothing_left_of_the_time_no_feature_is_read():
    model = a_model()
    assert [each.degraded for each in score(model, "t", [to_score()], seconds=0.0)] == ["deadline"]
    assert model.store.read == []
