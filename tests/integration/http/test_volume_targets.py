"""Volume targets over HTTP: their versions, and what is refused by field."""

import pytest
from sqlalchemy import select

from adapters.postgres.tables import audit

WHERE = "/v1/volume-targets"
TARGETS = {
    "tenant": {"messages_a_day": 1000, "messages_a_week": 5000},
    "channels": {"push": {"messages_a_day": None, "messages_a_week": 700}},
}


def test_targets_are_published_in_versions_and_audited(api, db, tenant):
    empty = api.get(WHERE)
    assert (empty.json()["version"], empty.headers["etag"]) == (0, '"0"')
    first = api.put(WHERE, json=TARGETS, headers={"If-Match": '"0"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    assert api.get(WHERE).json() == first.json() == {"version": 1, "volume_targets": TARGETS}
    assert api.put(WHERE, json=TARGETS).json()["version"] == 1
    stale = api.put(WHERE, json={}, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "volume_targets.version_conflict")
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "volume_targets.published")).all()
    assert [row.detail["version"] for row in rows] == [1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tenant": {}}, "tenant"),
        ({"channels": {"push": {"messages_a_day": 0}}}, "channels.push.messages_a_day"),
        ({"channels": {"push": {"messages_a_day": 9, "messages_a_week": 8}}}, "channels.push"),
        ({"channels": {"pigeon": {"messages_a_day": 9}}}, "channels"),
        ({"channel": {}}, "channel"),
    ],
)
def test_targets_that_make_no_sense_are_refused_by_field(api, body, field):
    refused = api.put(WHERE, json=body)
    assert refused.status_code == 422
    assert field in str(refused.json()["errors"])
    assert api.get(WHERE).json()["version"] == 0
