"""What learning is told: every purpose that matters to it, and where people may be, through the read-only role."""

from datetime import UTC, datetime

from adapters.postgres.consent import ConsentStore
from adapters.postgres.learning_facts import LearningFacts
from adapters.postgres.profiles import Profiles
from domain.consent import ConsentChange, ConsentStatus
from domain.profiles import Profile
from domain.values import Purpose
from tests.builders import RULES

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_withdrawals_of_marketing_are_read_as_leavings_and_other_answers_are_not(db, batch_db, tenant):
    said = [
        ConsentChange(purpose=purpose, status=status, channel=channel, source="t")
        for purpose, status, channel in (
            (Purpose.MARKETING, ConsentStatus.WITHDRAWN, "email"),
            (Purpose.MARKETING, ConsentStatus.WITHDRAWN, "*"),
            (Purpose.MARKETING, ConsentStatus.REFUSED, "sms"),
            (Purpose.ANALYTICS, ConsentStatus.WITHDRAWN, "push"),
        )
    ]
    ConsentStore(db).record(tenant, "left", said, actor="t", now=NOW)
    facts = LearningFacts(batch_db, RULES.version).read()
    assert sorted(facts.leavings[tenant.tenant, "left"]) == [("*", NOW), ("email", NOW)]


def test_consents_to_every_purpose_of_learning_and_the_countries_of_people_are_read(db, batch_db, tenant):
    said = [ConsentChange(purpose=purpose, status=ConsentStatus.WITHDRAWN, source="t") for purpose in Purpose]
    ConsentStore(db).record(tenant, "r", said, actor="t", now=NOW)
    zone = {"name": "Europe/Paris", "source": "declared"}
    Profiles(db).put(tenant, "r", Profile.model_validate({"time_zone": zone}), actor="t")
    facts = LearningFacts(batch_db, RULES.version).read()
    who = (tenant.tenant, "r")
    purposes = {state.purpose for state in facts.histories[who]}
    assert purposes == {Purpose.PERSONALIZATION, Purpose.ANALYTICS, Purpose.OPEN_TRACKING}
    assert facts.place(who) == {"FR"}
    assert facts.place((tenant.tenant, "unknown")) == {"US"}
    assert facts.rules.version == RULES.version
