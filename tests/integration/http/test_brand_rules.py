"""Brand rules over HTTP: their versions, what is refused, and that no type is published against them."""

import pytest
from sqlalchemy import select

from adapters.postgres.tables import audit

WHERE = "/v1/brand-rules"
RULES = {"required": ["Kairos"], "banned": ["cheap"]}


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
