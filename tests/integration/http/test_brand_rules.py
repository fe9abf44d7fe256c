"""Brand rules over HTTP: their versions, what is refused, and that no type is published against them."""

import pytest
from sqlalchemy import select

from adapters.postgres.message_types import MessageTypes, OffBrand
from adapters.postgres.tables import audit
from domain.message_types import MessageType

WHERE = "/v1/brand-rules"
RULES = {"required": ["Kairos"], "banned": ["cheap"], "tone": {"least": -0.5, "most": 0.9}}


def test_rules_are_published_in_versions_and_audited(api, db, tenant):
    empty = api.get(WHERE)
    assert (empty.json()["version"], empty.headers["etag"]) == (0, '"0"')
    first = api.put(WHERE, json=RULES, headers={"If-Match": '"0"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    assert api.get(WHERE).json() == first.json() == {"version": 1, "brand_rules": RULES}
    assert api.put(WHERE, json=RULES).json()["version"] == 1
    stale = api.put(WHERE, json={}, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "brand_rules.version_conflict")
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "brand_rules.published")).all()
    assert [row.detail["version"] for row in rows] == [1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"banned": [""]}, "banned.0"),
        ({"required": ["w"] * 21}, "required"),
        ({"required": ["A"], "banned": ["a"]}, ""),
        ({"tone": 1}, "tone"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_field(api, body, field):
    refused = api.put(WHERE, json=body)
    assert refused.status_code == 422
    assert field in str(refused.json()["errors"])
    assert api.get(WHERE).json()["version"] == 0


DOCUMENT = {"type": "news", "class": "service", "category": "news", "channels": ["push"]}
SAYS = {"variants": [{"id": "a", "content": {"push": {"body": "A cheap and terrible disaster"}}}]}


def test_a_document_is_held_against_the_rules_before_it_is_published(api):
    api.put(WHERE, json=RULES).raise_for_status()
    told = api.post("/v1/types/lint", json=DOCUMENT | SAYS).raise_for_status().json()
    assert (told["can_be_published"], told["brand_rules"]) == (False, 1)
    assert [(each["code"], each["severity"]) for each in told["findings"]] == [
        ("brand.required_word_missing", "error"),
        ("brand.banned_word", "error"),
        ("brand.tone", "warning"),
    ]
    assert {each["field"] for each in told["findings"]} == {"variants.a.content.push.body"}
    assert all("estimate" in each["sentence"] for each in told["findings"] if each["code"] == "brand.tone")
    wrong = api.post("/v1/types/lint", json=DOCUMENT | {"variants": []}).raise_for_status().json()
    assert [(each["code"], each["field"]) for each in wrong["findings"]] == [("document.invalid", "variants")]


def test_nobody_publishes_against_the_rules_by_any_way(api, db, tenant):
    api.put(WHERE, json=RULES).raise_for_status()
    with pytest.raises(OffBrand, match=r"news: variants\.a\.content\.push\.body: brand\.required_word_missing: Kairos"):
        MessageTypes(db).publish(tenant, [MessageType.model_validate(DOCUMENT | SAYS)], actor="test")
    assert MessageTypes(db).all(tenant) == []
