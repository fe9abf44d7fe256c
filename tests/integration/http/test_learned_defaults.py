"""Learned defaults over HTTP: what similar members did decides, small groups are not told of, both sides consented."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from adapters.postgres import template_outcomes
from adapters.postgres.consent import ConsentStore
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.profiles import Profiles
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.ingest import parse
from domain.profiles import Profile
from domain.values import Purpose
from tests.builders import NOON
from tests.integration.http.test_bulk_preferences import finished

FRENCH = Profile(country="FR", language="fr", age=34)
GROUP = 24
BOTH = (Purpose.PERSONALIZATION, Purpose.ANALYTICS)
NEW = "/v1/recipients/new/preferences"


def allow(db, tenant, *people, purposes=BOTH, status=ConsentStatus.GIVEN):
    given = [ConsentChange(purpose=each, status=status, effective_at=NOON, source="test") for each in purposes]
    ConsentStore(db).record_many(tenant, dict.fromkeys(people, given), actor="test", now=NOON)


def happened(db, tenant, kind, people):
    shared = {"source": "s", "type": kind, "channel": "email", "occurred_at": (NOON + timedelta(minutes=1)).isoformat()}
    items = [parse(shared | {"event_id": f"{kind}-{who}", "recipient_id": who}, n) for n, who in enumerate(people)]
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    verdicts = log.append(tenant, items, origin="api", received_at=NOON, now=NOON + timedelta(minutes=2))
    assert {each.verdict for each in verdicts} == {"stored"}


@pytest.fixture
def engaged(api, db, box, tenant):
    """``calm``: 24 members of whom 18 opened. ``loud``: 24 of whom 6 opened and 6 left. All consented; it is later."""
    Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    groups = {name: [f"{name}{number}" for number in range(GROUP)] for name in ("calm", "loud")}
    for name, people in groups.items():
        body = {"type": "segment", "description": name, "values": [{"preference": {"value": {"frequency": "weekly"}}}]}
        assert api.put(f"/v1/preferences/templates/{name}", json=body).status_code == 200
        Profiles(db).put_many(tenant, dict.fromkeys(people, FRENCH), actor="test")
        allow(db, tenant, *people)
        answer = api.post(f"/v1/preferences/templates/{name}/apply", json={"recipient_ids": people}).json()
        assert finished(api, answer["job"]["job_id"])["refused"] == 0
    happened(db, tenant, "notification_sent", groups["calm"] + groups["loud"])
    happened(db, tenant, "opened", groups["calm"][:18] + groups["loud"][:6])
    happened(db, tenant, "unsubscribed", groups["loud"][6:12])
    Tenants(db, box).shift_clock(tenant.tenant, (NOON + timedelta(minutes=30) - datetime.now(UTC)).total_seconds())
    return groups


def known(db, tenant, profile=FRENCH, purposes=BOTH):
    Profiles(db).put_many(tenant, {"new": profile}, actor="test")
    if purposes:
        allow(db, tenant, "new", purposes=purposes)


def test_the_evidence_has_counts_rates_and_the_similarity_used_and_names_nobody(api, db, tenant, engaged):
    known(db, tenant)
    answer = api.get(f"{NEW}/defaults")
    found = answer.json()
    assert (found["basis"], found["chosen"], found["version"]) == ("chosen", "calm", 1)
    calm, loud = found["candidates"]
    assert [calm[name] for name in ("members", "engaged", "opted_out", "mean_similarity")] == [GROUP, 18, 0, 1.0]
    assert [loud[name] for name in ("members", "engaged", "opted_out")] == [GROUP, 6, 6]
    assert calm["value"] > loud["value"]
    assert not any(who in answer.text for people in engaged.values() for who in people)
    assert api.get(f"{NEW}/template").json()["membership"] is None, "asking changes nothing"


def test_who_did_not_consent_is_neither_compared_nor_counted(api, db, tenant, engaged):
    known(db, tenant, purposes=())
    assert api.get(f"{NEW}/defaults").json()["basis"] == "no_consent_to_personalization"
    allow(db, tenant, "new")
    for who in engaged["calm"][:5]:
        allow(db, tenant, who, purposes=(Purpose.PERSONALIZATION,), status=ConsentStatus.WITHDRAWN)
    found = api.get(f"{NEW}/defaults").json()
    assert found["chosen"] == "loud", "19 are left, and groups below 20 are not considered"
    assert found["candidates"][0] == {
        "template_id": "calm", "version": 1, "is_enough": False, "members": None, "engaged": None, "opted_out": None,
        "mean_similarity": None, "engaged_rate": None, "opt_out_rate": None, "value": None,
    }  # fmt: skip


def test_without_enough_similar_members_the_tenants_default_holds(api, db, tenant, engaged):
    known(db, tenant, Profile(country="JP", language="ja", age=80))
    found = api.get(f"{NEW}/defaults").json()
    assert (found["basis"], found["chosen"]) == ("not_enough_data", None)
    assert api.get("/v1/recipients/nobody/preferences/defaults").status_code == 404


def test_a_template_whose_conditions_are_not_true_of_them_is_no_candidate(api, db, tenant, engaged):
    known(db, tenant)
    body = api.get("/v1/preferences/templates/calm").json()["template"]
    body["conditions"] = {"field": "profile.country", "equals": "DE"}
    api.put("/v1/preferences/templates/calm", json=body)
    found = api.get(f"{NEW}/defaults").json()
    assert [each["template_id"] for each in found["candidates"]] == ["loud"]


def consents(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(text("SELECT count(*) FROM consent_record")).scalar_one()


@pytest.mark.parametrize("is_on", [True, False])
def test_a_new_profile_brings_the_template_only_where_the_tenant_says_so(api, db, tenant, engaged, is_on):
    api.put("/v1/preferences/policy", json={"learned_defaults": is_on})
    allow(db, tenant, "new")
    before = consents(db, tenant)
    body = FRENCH.model_dump(mode="json", exclude_defaults=True)
    assert api.put("/v1/recipients/new/profile", json=body).json()["version"] == 1
    membership = api.get(f"{NEW}/template").json()["membership"]
    assert (membership and membership["template_id"]) == ("calm" if is_on else None)
    assert consents(db, tenant) == before, "what is chosen is never a consent"
    api.delete(f"{NEW}/template")
    assert api.put("/v1/recipients/new/profile", json=body).json()["version"] == 2
    assert api.get(f"{NEW}/template").json()["membership"] is None, "only who is new gets one"


def test_a_new_profile_without_consent_is_stored_and_gets_nothing(api, db, tenant, engaged):
    api.put("/v1/preferences/policy", json={"learned_defaults": True})
    assert api.put("/v1/recipients/new/profile", json={"country": "FR", "age": 30}).status_code == 200
    assert api.get(f"{NEW}/template").json()["membership"] is None


def test_a_choice_that_takes_too_long_loses_no_profile_and_holds_up_none_after_it(
    api, db, tenant, engaged, monkeypatch
):
    asked = []

    def slow(connection, versions, **_):
        asked.append(versions)
        connection.execute(text("SELECT pg_sleep(30)"))

    def late():
        return REGISTRY.get_sample_value("kairos_learned_defaults_total", {"outcome": "late"}) or 0.0

    before = late()
    api.put("/v1/preferences/policy", json={"learned_defaults": True})
    allow(db, tenant, "new", "next")
    body = FRENCH.model_dump(mode="json", exclude_defaults=True)
    monkeypatch.setattr(template_outcomes, "read", slow)
    for who in ("new", "next"):
        answer = api.put(f"/v1/recipients/{who}/profile", json=body)
        assert (answer.status_code, answer.json()["version"]) == (200, 1)
        assert api.get(f"/v1/recipients/{who}/profile").json()["profile"]["age"] == 34
        assert api.get(f"/v1/recipients/{who}/preferences/template").json()["membership"] is None
    assert (late() - before, len(asked)) == (2, 1), "the second did not try again"


def test_many_new_profiles_read_the_members_of_each_template_once(api, db, tenant, engaged, monkeypatch):
    asked, people = [], [f"new{number}" for number in range(6)]
    read = template_outcomes.read

    def counted(connection, versions, **how):
        asked.append((versions[0][0], how["most"]))
        return read(connection, versions, **how)

    monkeypatch.setattr(template_outcomes, "read", counted)
    api.put("/v1/preferences/policy", json={"learned_defaults": True})
    allow(db, tenant, *people)
    with ThreadPoolExecutor(3) as pool:
        body = FRENCH.model_dump(mode="json", exclude_defaults=True)
        answers = list(pool.map(lambda who: api.put(f"/v1/recipients/{who}/profile", json=body), people))
    assert [each.status_code for each in answers] == [200] * 6
    given = [api.get(f"/v1/recipients/{who}/preferences/template").json()["membership"] for who in people]
    assert [each["template_id"] for each in given] == ["calm"] * 6
    assert sorted(asked) == [("calm", 500), ("loud", 500)], "a thousand together"


def test_what_was_applied_before_the_profile_stays(api, db, tenant, engaged):
    api.put("/v1/preferences/policy", json={"learned_defaults": True})
    allow(db, tenant, "new")
    api.put(f"{NEW}/template", json={"template_id": "loud"})
    api.put("/v1/recipients/new/profile", json=FRENCH.model_dump(mode="json", exclude_defaults=True))
    assert api.get(f"{NEW}/template").json()["membership"]["template_id"] == "loud"


def test_statistics_count_use_ratings_and_what_consenting_members_did(api, db, tenant, engaged):
    api.post("/v1/preferences/templates/loud/feedback", json={"rating": 2})
    api.post("/v1/preferences/templates/loud/feedback", json={"rating": 5})
    allow(db, tenant, "loud0", purposes=(Purpose.ANALYTICS,), status=ConsentStatus.WITHDRAWN)
    found = api.get("/v1/preferences/templates/loud/statistics").json()
    assert found["usage"] == {"applications": 1, "rolled_back": 0, "members": GROUP}
    assert found["feedback"] == {"count": 2, "mean": 3.5}
    outcomes = [found["outcomes"][name] for name in ("was_sent", "engaged", "opted_out")]
    assert outcomes == [GROUP - 1, 5, 6]


def test_statistics_tell_nothing_of_fewer_than_ten(api, db, tenant, engaged):
    body = api.get("/v1/preferences/templates/calm").json()["template"]
    api.put("/v1/preferences/templates/calm", json=body | {"description": "new"})
    few = engaged["calm"][:9]
    answer = api.post("/v1/preferences/templates/calm/apply", json={"recipient_ids": few}).json()
    finished(api, answer["job"]["job_id"])
    found = api.get("/v1/preferences/templates/calm/statistics").json()
    assert (found["version"], found["usage"]["members"], found["outcomes"]["was_sent"]) == (2, None, None)
