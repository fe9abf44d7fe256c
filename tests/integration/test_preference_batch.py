"""Many recipients resolved at once get what each gets alone, whatever they share and whatever is sealed."""

import pytest

from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.preference_policies import PreferencePolicies
from adapters.postgres.preferences import Preferences
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.preference_scopes import Scope
from domain.preferences import PreferencePolicy
from domain.values import Channel, Purpose
from serving import preference_lookup
from serving.decide import Decider
from serving.preference_lookup import Question, resolved_many
from tests.builders import NOON, a_preference, a_type

SCHEMA = {"type": "object", "properties": {"size": {"type": "integer"}}}
SAID = (
    a_preference(enabled=False),
    a_preference(scope=Scope(channel="email"), frequency="weekly", settings={"size": 3}),
    a_preference(scope=Scope(category="news", context={"time": "weekday"}), enabled=True),
    a_preference(scope=Scope(category="news"), windows={"monday": [{"start": "08:00", "end": "09:00"}]}),
    a_preference(scope=Scope(content_type="news"), enabled=True, expires_at="2030-01-01T00:00:00Z", priority=2),
)


@pytest.fixture
def recipients(db, tenant) -> list[str]:
    """One for every set of the preferences, neighbours sharing some, and one nobody knows."""
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    defaults = (a_preference(scope=Scope(channel="email"), enabled=False),)
    PreferencePolicies(db).publish(tenant, PreferencePolicy(defaults=defaults, settings_schema=SCHEMA), actor="test")
    store, names = Preferences(db), ["nobody"]
    for chosen in range(1, 2 ** len(SAID), 3):
        names.append(f"r-{chosen}")
        for position, preference in enumerate(SAID):
            if chosen >> position & 1:
                store.put(tenant, names[-1], preference, actor="test")
    given = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
    ConsentStore(db).record_many(tenant, {each: [given] for each in names[:-2]}, actor="test", now=NOON)
    return names


@pytest.mark.parametrize("at_a_time", [1, 4, 1_000])
def test_in_a_batch_everybody_gets_what_they_get_alone(db, tenant, recipients, at_a_time, monkeypatch):
    decider = Decider(DecisionLog(db), lambda: None, Settings())
    question = Question("news", Channel.EMAIL, NOON)
    alone = {each: resolved_many(decider, tenant, [each], question)[each] for each in recipients}
    monkeypatch.setattr(preference_lookup, "_AT_A_TIME", at_a_time)
    assert resolved_many(decider, tenant, recipients, question) == alone
    assert len(set(map(repr, alone.values()))) > 3


def test_what_is_changed_is_read_in_its_new_version_at_once(db, tenant, recipients):
    decider = Decider(DecisionLog(db), lambda: None, Settings())
    question = Question("news", Channel.PUSH, NOON)
    who = recipients[1]

    def holds():
        return resolved_many(decider, tenant, recipients, question)[who].enabled.value

    before = holds()
    Preferences(db).put(tenant, who, a_preference(enabled=True), actor="test")
    assert (before, holds()) == (False, True)
    policy = PreferencePolicy(defaults=(a_preference(scope=Scope(channel="push"), enabled=False),))
    PreferencePolicies(db).publish(tenant, policy, actor="test")
    nobody = resolved_many(decider, tenant, ["nobody"], question)["nobody"]
    assert nobody.enabled.value is False
