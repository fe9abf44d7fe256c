"""A decision on real stores reads a recipient's hours and answers with the features, and can be made again."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from adapters.bundle import FILES, REGISTRY, Bundle, BundleInfo
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.message_types import MessageTypes
from adapters.settings import Settings
from domain import decision_replay
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.values import Channel, Purpose
from feature_repo import habit_columns as columns
from models.send_time import packed
from models.send_time.spec import HOURS_OF_WEEK
from serving.asks import Ask
from serving.decide import Decider, new_id
from serving.fitted import Fitted
from tests.builders import NOON, RULES, a_type
from tests.feature_tables import feature_table

FITTED = Fitted(versions={"send_time": "3", "channel_value": "2", "fatigue": "1"})
EVENINGS = [day * 24 + 20 for day in range(7)]


@pytest.fixture(scope="module")
def stores(tmp_path_factory, databases, valkey):
    """The store of assets, and the service's with definitions from a bundle."""
    endpoints = Endpoints(databases=databases, redis_url=valkey.url, mlflow_url="", dagster_url="", api_url="")
    written = FeatureStore.of(Settings(data_dir=tmp_path_factory.mktemp("lake")), endpoints)
    written.apply()
    info = BundleInfo(
        model="engagement",
        version="1",
        run_id="run",
        feature_service="engagement_v1",
        data_digest="d",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    sealed = Bundle(info, {**dict.fromkeys(FILES, b""), REGISTRY: written.registry_bytes()}, "digest")
    served = FeatureStore.from_bundle(sealed, redis_url=valkey.url, timeout_ms=2000)
    yield written, served
    written.close()
    served.close()


def habits(tenant: str, recipient: str) -> pd.DataFrame:
    counts = np.zeros(HOURS_OF_WEEK)
    counts[EVENINGS] = 8.0
    row = dict.fromkeys(columns.columns(), 0.0) | {
        columns.AS_OF: NOON,
        columns.HOURS: packed.to_text(counts),
        columns.HOURS_OF_OPENS: packed.to_text(np.zeros(HOURS_OF_WEEK)),
        columns.answered(Channel.EMAIL): 9.0,
        columns.sent(Channel.EMAIL): 10.0,
    }
    return pd.DataFrame([{"tenant": tenant, "recipient_id": recipient, "as_of": pd.Timestamp(NOON)} | row])


def test_own_hours_and_answers_are_read_with_the_features_and_recorded(db, tenant, stores):
    written, served = stores
    people = ["evening", "nobody"]
    written.write(feature_table(tenant.tenant, people, NOON - timedelta(hours=1)))
    written.write_habits(habits(tenant.tenant, "evening"))
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    given = [
        ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
        for each in (Purpose.MARKETING, Purpose.PERSONALIZATION)
    ]
    ConsentStore(db).record_many(tenant, dict.fromkeys(people, given), actor="test", now=NOON)
    scorer = SimpleNamespace(
        features=("login_count_30d",), vocabularies={}, score=lambda matrix: np.full(len(matrix), 0.05)
    )
    facts = {"name": "engagement", "version": "7", "digest": "d", "run_id": "r", "feature_service": "engagement_v1"}
    model = SimpleNamespace(**facts, scorer=scorer, store=served)
    decider = Decider(
        DecisionLog(db), lambda: model, Settings(holdout_share=0, decision_postgres_ms=20_000), fitted=lambda: FITTED
    )
    message = {"type": "news", "urgency": "flexible"}
    asks = [Ask(new_id(), DecisionRequest(recipient_id=each, message=message)) for each in people]
    evening, nobody = [asked.expected for asked, _ in decider.consider(tenant, asks, now=NOON)]
    assert evening.activity.log_rates[20] > nobody.activity.log_rates[20] + 0.5
    assert evening.channels[Channel.EMAIL].p_open > 10 * nobody.channels[Channel.EMAIL].p_open
    assert (evening.activity.source, nobody.activity.source) == ("recipient", "population")
    decider.decide(tenant, asks, now=NOON, actor="test")
    for ask in asks:
        record = DecisionLog(db).get(tenant, ask.decision_id, actor="test")
        assert record["versions"]["models"] == {**FITTED.versions, "engagement": "7"}
        assert decision_replay.differences(decision_replay.past(record, a_type(), RULES)) == ()
