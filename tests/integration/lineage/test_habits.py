"""Hours and channels: fitted, judged, promoted, put online, and read by decisions that can be made again."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from math import exp

import pytest

from adapters import bundle, endpoints, legal_rule_files
from adapters.bundle import BundleVerifier
from adapters.keyring import Keyring
from adapters.model_registry import CHAMPION, Registries
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from domain import decision_replay
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.events import EventType
from domain.explanations import explain
from domain.values import Purpose
from orchestration.runs import Outcome
from serving.asks import Ask
from serving.decide import Decider, new_id
from serving.fitted import FittedModels
from serving.models import EngagementModels
from tests.builders import a_type
from tests.installation import LONG_AGO, NEVER_ASKED, TENANT, WITHDREW, Installation

pytestmark = pytest.mark.timeout(900)
BETTER = ("send_time", "channel_value", "fatigue")
NAMES = (*BETTER, "opt_out")


@pytest.fixture(scope="module")
def decider(installation: Installation, habits: Outcome) -> Iterator[tuple[Decider, Database]]:
    """A decider with the models that the service would load."""
    assert habits.succeeded
    settings = installation.settings
    found, box = endpoints.resolve(settings), SecretBox.of(settings)
    fitted, models = FittedModels.of(settings, found, box), EngagementModels.of(settings, found, box)
    fitted.poll()
    models.poll()
    with ExitStack() as stack:
        stack.callback(fitted.stop)
        stack.callback(models.stop)
        database = stack.enter_context(closing(Database(found.databases.app, keyring=Keyring.of(settings))))
        yield (
            Decider(
                DecisionLog(database),
                lambda: models.current,
                settings.model_copy(update={"holdout_share": 0.0}),
                fitted=lambda: fitted.current,
            ),
            database,
        )


def test_the_models_pass_their_check_and_serve_from_a_signed_bundle(installation: Installation, habits: Outcome):
    assert (habits.succeeded, list(habits.broken), list(habits.failed_steps)) == (True, [], [])
    assert set(habits.held) == {*(f"{name}_beats_the_rest" for name in BETTER), "opt_out_is_no_worse"}
    verifier = BundleVerifier.of(SecretBox.of(installation.settings))
    for name in NAMES:
        champion = Registries(installation.settings.mlflow_url or "").of(name).version(CHAMPION)
        assert champion is not None
        assert champion.tags["gate.passed"] == "true"
        assert champion.tags["dagster.run_id"] == habits.run_id
        path = installation.settings.bundle_dir.absolute() / name / champion.version
        assert bundle.verify_and_open(path, model=name, version=champion.version, verifier=verifier).files
    rows = installation.table("core_recipient_habits")
    assert set(installation.data.recipients[:NEVER_ASKED]).isdisjoint(rows["recipient_id"])
    assert WITHDREW not in set(rows["recipient_id"])
    assert len(rows) == len(installation.data.recipients) - NEVER_ASKED - 1


def test_a_decision_stands_on_the_recipients_own_hours_and_answers_and_can_be_made_again(
    installation: Installation, decider: tuple[Decider, Database]
):
    decides, database = decider
    tenants = Tenants(database, SecretBox.of(installation.settings))
    tenant = tenants.get(TENANT)
    # Late in the morning of New York: nobody is scored in quiet hours.
    now = installation.data.end + timedelta(hours=15)
    early, late, silent = _people(installation)
    given = [
        ConsentChange(purpose=purpose, status=ConsentStatus.GIVEN, effective_at=LONG_AGO, source="test")
        for purpose in (Purpose.MARKETING,)
    ]
    ConsentStore(database).record_many(tenant, dict.fromkeys((early, late, silent), given), actor="test", now=now)
    MessageTypes(database).publish(tenant, [a_type()], actor="test")
    asks = [
        Ask(
            new_id(),
            DecisionRequest.model_validate({"recipient_id": name, "message": {"type": "news", "urgency": "flexible"}}),
        )
        for name in (early, late, silent)
    ]
    asked = [asked for asked, _ in decides.consider(tenant, asks, now=now)]
    mornings = [_share(each, range(3, 9)) for each in asked]
    assert mornings[0] > mornings[2] > mornings[1]
    assert [each.expected.is_personal for each in asked] == [True, True, False]
    assert [each.expected.activity.source for each in asked] == ["recipient", "recipient", "population"]
    decides.decide(tenant, asks, now=now, actor="test")
    log = DecisionLog(database)
    for ask in asks:
        record = log.get(tenant, ask.decision_id, actor="test")
        assert record is not None
        assert dict.fromkeys(NAMES, "1").items() <= record["versions"]["models"].items()
        assert "send_time version 1" in " ".join(explain(record))
        past = decision_replay.past(record, a_type(), legal_rule_files.load(installation.settings.legal_rules))
        assert decision_replay.differences(past) == ()


def _people(installation: Installation) -> tuple[str, str, str]:
    """Return who buys most often early, who late, and somebody who never allowed personalization."""
    bought = Counter(each.recipient_id for each in installation.data.events if each.type is EventType.PURCHASE)
    names = [name for name, _ in bought.most_common() if name not in installation.data.recipients[:NEVER_ASKED]]
    early, late = (next(name for name in names if int(name[-4:]) % 2 == odd) for odd in (1, 0))
    return early, late, installation.data.recipients[0]


def _share(asked, local_hours) -> float:
    """Return how active somebody is expected to be at some hours of the day, as a share of the week."""
    rates = [exp(each) for each in asked.expected.activity.log_rates]
    return sum(rate for hour, rate in enumerate(rates) if hour % 24 in local_hours) / sum(rates)
