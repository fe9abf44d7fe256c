"""Evidence about models from PostgreSQL: choices with what came of them, and the groups that profiles declare."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import psycopg
import pytest
from sqlalchemy import make_url

from adapters.postgres.attribute_schemas import AttributeSchemas
from adapters.postgres.model_outcomes import ModelOutcomes
from adapters.postgres.profile_groups import ProfileGroups
from adapters.postgres.profiles import Profiles
from adapters.postgres.tenants import Tenants
from domain.attribute_schemas import AttributeSchema
from domain.profiles import Profile
from tests import live_decisions

NOW = datetime(2026, 3, 10, tzinfo=UTC)
BACK = timedelta(days=90)


def stage(*channels, chosen):
    options = [{"channel": name, "variant_id": None, "slot": None} for name in channels]
    even = [1 / len(channels)] * len(channels)
    told = {"name": "channel", "policy": "epsilon_softmax_v1", "options": options, "probabilities": even}
    return told | {"chosen": chosen, "stream": "channel"}


def a_choice(**more):
    given = {"stages": [stage(None, "email", chosen=1)], "features": {"email": {"x": 1.0}}, "policy_settings": {}}
    return live_decisions.a_record("engagement", "7", 0.2) | given | more


@pytest.fixture
def put(databases, postgres, tenant):
    url = make_url(postgres.admin_url).set(drivername="postgresql", database=make_url(databases.app).database)

    def stored(records, first, **more):
        with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
            live_decisions.put(connection, tenant.tenant, records, [False] * len(records), first=first, **more)

    return stored


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"overridden": "consent.withdrawn"}, False),
        ({"send_at": NOW.isoformat()}, False),
        ({"features": None}, False),
        ({"stages": []}, False),
        ({"stages": [stage("a", chosen=0) | {"name": "slot"}]}, False),
    ],
)
def test_only_choices_that_were_drawn_and_carried_out_are_evidence(put, batch_db, tenant, change, counts):
    put([a_choice(**change)], NOW - timedelta(days=5))
    found = ModelOutcomes(batch_db).choices("engagement", {tenant.tenant: NOW}, back=BACK)
    assert len(found) == counts
    if counts:
        assert (found[0].features, found[0].converted) == ({"email": {"x": 1.0}}, False)
        assert found[0].subject_key.startswith(tenant.tenant), "recipients of two tenants are two people"


@pytest.mark.parametrize(("hours", "is_final"), [(25, True), (23, False)])
def test_an_outcome_counts_when_the_window_of_its_channel_has_closed(put, batch_db, tenant, hours, is_final):
    put([a_choice()], NOW - timedelta(hours=hours))
    outcomes = ModelOutcomes(batch_db)
    assert len(outcomes.sent("engagement", {tenant.tenant: NOW}, back=BACK)) == is_final
    assert len(outcomes.choices("engagement", {tenant.tenant: NOW}, back=BACK)) == is_final
    assert len(outcomes.sent("another", {tenant.tenant: NOW}, back=BACK)) == 0


def test_groups_are_what_is_declared_with_a_list_or_as_boolean_and_nothing_else(db, box, tenant):
    rules = {
        "tier": {"type": "string", "enum": ["gold", "silver"]},
        "is_member": {"type": "boolean"},
        "note": {"type": "string"},
        "height": {"type": "number"},
    }
    AttributeSchemas(db).publish(tenant, AttributeSchema.model_validate({"properties": rules}), actor="test")
    attributes = {"tier": "gold", "is_member": True, "note": "tall", "height": 1.9}
    known = Profile.model_validate({"country": "FR", "locale": "fr-FR", "attributes": attributes})
    Profiles(db).put(tenant, "r", known, actor="test")
    asked = pd.DataFrame({"tenant": [tenant.tenant] * 2, "recipient_id": ["r", "nobody"]})
    found = ProfileGroups(db, Tenants(db, box)).of(asked)
    assert sorted(found.columns) == ["attribute.is_member", "attribute.tier", "country", "language"]
    assert found.iloc[0].to_dict() == {
        "attribute.is_member": "True",
        "attribute.tier": "gold",
        "country": "FR",
        "language": "fr",
    }
    assert set(found.iloc[1]) == {""}
