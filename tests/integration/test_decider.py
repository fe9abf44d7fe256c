"""The decide path on real stores: consent decides whether features are read, and the record holds what was served."""

import math
import secrets
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import structlog
from sqlalchemy import select, text

from adapters.embedded.valkey import EmbeddedValkey
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import decision
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.identity import in_share, subject_key
from domain.values import Purpose
from serving.asks import Ask
from serving.decide import Decider, new_id
from serving.situations import UnknownType
from tests.builders import NOON, a_type
from tests.feature_tables import feature_table

SETTINGS = Settings(holdout_share=0, decision_postgres_ms=20_000)
P = 0.05


class Scorer:
    """Sees what the features are and always says the same."""

    features = ("login_count_30d", "channel_code")

    def __init__(self):
        self.vocabularies = {"channel": ("email", "push")}
        self.matrices = []

    def score(self, matrix):
        self.matrices.append(matrix)
        return np.full(len(matrix), P)


@pytest.fixture(scope="module")
def store(tmp_path_factory, databases, valkey: EmbeddedValkey):
    endpoints = Endpoints(databases=databases, redis_url=valkey.url, mlflow_url="", dagster_url="", api_url="")
    store = FeatureStore.of(Settings(data_dir=tmp_path_factory.mktemp("lake")), endpoints)
    store.apply()
    yield store
    store.close()


@pytest.fixture
def model(store, tenant):
    store.write(feature_table(tenant.tenant, ["r", "marketing-only"], NOON - timedelta(hours=1)))
    return SimpleNamespace(
        name="engagement", version="7", digest="d", run_id="run", feature_service="engagement_v1",
        scorer=Scorer(), store=store,
    )  # fmt: skip


@pytest.fixture
def decide(db, tenant, model):
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    consents = ConsentStore(db)
    for recipient, purposes in (("r", ("marketing", "personalization")), ("marketing-only", ("marketing",))):
        given = [
            ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="t", effective_at=NOON) for each in purposes
        ]
        consents.record(tenant, recipient, given, actor="test", now=NOON)

    def decide(*recipients, settings=SETTINGS, of=tenant, **fields):
        decider = Decider(DecisionLog(db), lambda: model, settings)
        message = {"type": "news"} | fields
        asks = [
            Ask(new_id(), DecisionRequest.model_validate({"recipient_id": each, "message": message}))
            for each in recipients
        ]
        return [each.answer for each in decider.decide(of, asks, now=NOON, actor="test")]

    return decide


def records(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        return {row.decision_id: row.record for row in connection.execute(select(decision))}


def test_with_consent_the_model_decides_and_the_record_holds_what_it_saw(decide, db, tenant, store):
    (answer,) = decide("r")
    kept = records(db, tenant)[answer["decision_id"]]
    assert answer["degraded"] is None
    assert answer["versions"]["models"] == {"engagement": "7"}
    assert kept["stages"][0]["policy"] == "epsilon_softmax_v1"
    assert {channel: terms["p_convert"] for channel, terms in kept["expected"]["channels"].items()} == {
        "email": P,
        "push": P,
    }
    served = store.online(tenant.tenant, ["r"])["login_count_30d"][0]
    assert kept["features"]["email"] == {"login_count_30d": pytest.approx(served), "channel_code": 0.0}
    assert kept["features_as_of"]["engagement_as_of"] == "2026-03-02T16:00:00+00:00"


def test_without_personalization_no_feature_is_read(decide, db, tenant, model):
    (answer,) = decide("marketing-only")
    kept = records(db, tenant)[answer["decision_id"]]
    assert (answer["degraded"], answer["versions"]["models"], kept["features"]) == (None, {}, None)
    assert kept["may_personalize"] is False
    assert model.scorer.matrices == []


def test_a_recipient_without_features_is_left_to_rules(decide, db, tenant):
    ConsentStore(db).record(tenant, "new", grants(), actor="test", now=NOON)
    (answer,) = decide("new")
    assert (answer["degraded"], answer["versions"]["policy"]) == ("missing_features", "rules_v1")


def grants():
    return [
        ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
        for each in (Purpose.MARKETING, Purpose.PERSONALIZATION)
    ]


def test_a_batch_is_decided_together_and_each_recipient_by_their_own_consent(decide, model):
    answers = decide("r", "stranger", "marketing-only", "r")
    assert [each["versions"]["policy"] for each in answers][::3] == ["epsilon_softmax_v1"] * 2
    assert answers[1]["reason"] == "consent.missing"
    assert len({each["decision_id"] for each in answers}) == 4
    assert [matrix.shape for matrix in model.scorer.matrices] == [(4, 2)]


def test_what_was_recorded_is_how_often_it_happened(decide, db, tenant):
    ContactBudgets(db).publish(tenant, ContactBudget(), actor="test")
    for _ in range(6):
        decide(*["r"] * 100)
    kept = records(db, tenant).values()
    assert all(abs(math.fsum(stage["probabilities"]) - 1) < 1e-12 for each in kept for stage in each["stages"])
    drawn = Counter((each["channel"], each["variant_id"]) for each in kept)
    chances = {(each["channel"], each["variant_id"]): each["action_probability"] for each in kept}
    for action, chance in chances.items():
        assert abs(drawn[action] / len(kept) - chance) < 5 * math.sqrt(chance * (1 - chance) / len(kept))


def test_the_holdout_is_the_same_people_for_ever_and_uniform_for_them(decide, db, tenant, box):
    of = replace_secret(tenant)
    (answer,) = decide("r", settings=Settings(holdout_share=0.05), of=of)
    kept = records(db, tenant)[answer["decision_id"]]
    assert kept["is_holdout"] is True
    assert kept["stages"][0]["probabilities"] == [0.2, 0.4, 0.4]
    assert kept["action_probability"] == 0.2


def replace_secret(tenant):
    """Return the tenant with a secret that puts the recipient into the hold-out."""
    while True:
        secret = secrets.token_bytes(32)
        if in_share(subject_key(secret, "r"), "holdout", 0.05):
            return tenant.model_copy(update={"subject_secret": secret})


def test_an_unknown_type_decides_nothing(db, decide, tenant, model):
    decider = Decider(DecisionLog(db), lambda: model, SETTINGS)
    request = DecisionRequest.model_validate({"recipient_id": "r", "message": {"type": "unheard"}})
    with pytest.raises(UnknownType):
        decider.decide(tenant, [Ask(new_id(), request)], now=NOON, actor="test")
    assert records(db, tenant) == {}


def test_when_the_consent_store_is_away_there_is_no_answer(tenant, model):
    nowhere = Database("postgresql://nobody@127.0.0.1:1/kairos")
    decider = Decider(DecisionLog(nowhere), lambda: model, SETTINGS)
    request = DecisionRequest.model_validate({"recipient_id": "r", "message": {"type": "news"}})
    with pytest.raises(Unavailable):
        decider.decide(tenant, [Ask(new_id(), request)], now=NOON, actor="test")
    nowhere.close()


def test_a_late_withdrawal_is_recorded_as_one(decide, db, tenant, model):
    class Interrupted(DecisionLog):
        def record(self, of, pending, **given):
            change = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.WITHDRAWN, source="t")
            ConsentStore(db).record(tenant, "r", [change], actor="test", now=NOON)
            return super().record(of, pending, **given)

    decider = Decider(Interrupted(db), lambda: None, SETTINGS)
    request = DecisionRequest.model_validate({"recipient_id": "r", "message": {"type": "news"}})
    (recorded,) = decider.decide(tenant, [Ask(new_id(), request)], now=NOON, actor="test")
    assert (recorded.answer["outcome"], recorded.answer["reason"]) == ("suppress", "consent.withdrawn")
    assert (recorded.answer["action_probability"], recorded.answer["content"]) == (1.0, None)
    (kept,) = records(db, tenant).values()
    assert (kept["overridden"], kept["consent_version"]) == ("consent.withdrawn", 2)


def test_the_log_names_nobody(decide):
    with structlog.testing.capture_logs() as lines:
        decide("r")
    (line,) = [line for line in lines if line["event"] == "decision.recorded"]
    assert set(line) == {"event", "log_level", "tenant", "decision_id", "outcome", "reason", "ms"}


def test_the_application_cannot_change_a_decision(decide, db, tenant):
    decide("r")
    with pytest.raises(Exception, match="permission denied"), db.tenant(tenant.tenant) as connection:
        connection.execute(text("UPDATE decision SET outcome = 'send_now'"))
