"""Two ids of one person are merged: the stricter of everything holds, and the other id stands for who stays."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from adapters.postgres.erasures import Erasures
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from adapters.unsubscribe_links import UnsubscribeLinks
from domain.identity import subject_key
from domain.one_click import UnsubscribeGrant
from domain.values import Channel, Purpose
from tests.builders import a_type

STAYS, OTHER = "person/one", "person-two"
WHY = {"other": OTHER, "reason": "same login"}


@pytest.fixture
def news(db, tenant):
    """Marketing on e-mail and on the phone, and a bill that needs no consent."""
    types = [a_type(), a_type(type="bill", **{"class": "transactional"})]
    MessageTypes(db).publish(tenant, types, actor="test")


def at(who, path=""):
    return f"/v1/recipients/{who}{path}"


def say(api, who, status="given", **more):
    body = {"purpose": "marketing", "status": status, "source": "test"} | more
    api.post(at(who, "/consents"), json=body).raise_for_status()


def consents(api, who):
    found = api.get(at(who, "/consents")).raise_for_status().json()["consents"]
    return {(each["purpose"], each["channel"]): each["status"] for each in found}


def merge(api, who=STAYS, **more):
    return api.post(at(who, "/merge"), json=WHY | more)


def reason(api, who, message_type="news", **more):
    body = {"recipient_id": who, "message": {"type": message_type}} | more
    return api.post("/v1/decisions", json=body).raise_for_status().json()["reason"]


def test_a_withdrawal_of_either_id_holds_for_both(api, news):
    say(api, STAYS)
    say(api, OTHER, "withdrawn")
    merge(api).raise_for_status()
    assert consents(api, STAYS) == consents(api, OTHER) == {("marketing", "*"): "withdrawn"}
    assert reason(api, STAYS) == reason(api, OTHER) == "consent.withdrawn"
    say(api, OTHER, "given")
    assert consents(api, STAYS) == {("marketing", "*"): "given"}, "a fresh yes lifts it"


def test_consent_that_only_the_other_gave_comes_with_its_proof(api, news):
    say(api, OTHER, text_version="v7", proof={"form": 3})
    merge(api).raise_for_status()
    records = api.get(at(STAYS, "/consents")).json()["history"]
    assert [(each["status"], each["source"], each["text_version"]) for each in records] == [("given", "merge", "v7")]
    assert records[0]["proof"]["proof"] == {"form": 3}


def test_switches_preferences_and_suppressions_become_the_stricter(api, news):
    for who, is_on in ((STAYS, True), (OTHER, False)):
        api.put(at(who, "/channels/push"), json={"is_on": is_on, "source": "test"}).raise_for_status()
    general = {"scope": {"channel": "email"}, "value": {"enabled": False}}
    special = {"scope": {"channel": "email", "category": "news"}, "value": {"enabled": True, "frequency": "daily"}}
    api.put(at(OTHER, "/preferences"), json=general).raise_for_status()
    api.put(at(STAYS, "/preferences"), json=special).raise_for_status()
    bounce = {"source": "esp", "event_id": "1", "type": "bounced", "recipient_id": OTHER, "channel": "sms"}
    bounce |= {"occurred_at": datetime.now(UTC).isoformat(), "properties": {"bounce_type": "hard"}}
    api.post("/v1/events", json={"events": [bounce]}).raise_for_status()
    api.post(at(OTHER, "/objection"), json={"against": "profiling", "source": "test"}).raise_for_status()
    merge(api).raise_for_status()
    allowed = api.get(at(STAYS, "/consents")).json()
    assert {each["channel"]: each["is_on"] for each in allowed["switches"]} == {"push": False}
    causes = {(each["channel"], each["cause"]) for each in api.get(at(STAYS, "/suppressions")).json()["suppressions"]}
    assert causes == {("sms", "bounced"), ("*", "objected_profiling")}
    found = api.get(at(STAYS, "/preferences/resolved"), params={"type": "news", "channel": "email"}).json()
    assert (found["enabled"]["value"], found["frequency"]["value"]) == (False, "daily")


def test_what_comes_for_the_alias_counts_for_who_stays(api, db, box, tenant, news, settings):
    say(api, STAYS)
    merge(api).raise_for_status()
    gone = {"source": "esp", "event_id": "u", "type": "unsubscribed", "recipient_id": OTHER, "channel": "email"}
    api.post("/v1/events", json={"events": [gone | {"occurred_at": datetime.now(UTC).isoformat()}]}).raise_for_status()
    assert consents(api, STAYS)["marketing", "email"] == "withdrawn"
    grant = UnsubscribeGrant(
        tenant=tenant.tenant,
        recipient_id=OTHER,
        purpose=Purpose.MARKETING,
        channel=Channel.PUSH,
        issued_at=datetime.now(UTC) - timedelta(days=1),
    )
    path = "/u/" + UnsubscribeLinks(box, "http://127.0.0.1").url(grant).rpartition("/u/")[2]
    api.post(path, data={"List-Unsubscribe": "One-Click"}).raise_for_status()
    assert consents(api, STAYS)["marketing", "push"] == "withdrawn"
    api.put(at(OTHER, "/preferences"), json={"scope": {}, "value": {"enabled": False}}).raise_for_status()
    assert len(api.get(at(STAYS, "/preferences")).json()["preferences"]) == 1
    api.put(at(OTHER, "/profile"), json={"country": "FR"}).raise_for_status()
    assert api.get(at(STAYS, "/profile")).json()["profile"]["country"] == "FR"


def test_an_address_of_the_alias_that_is_listed_stops_messages_to_who_stays(api, news):
    address = {"address": "two@example.org"}
    api.put(at(OTHER, "/addresses/email"), json=address).raise_for_status()
    merge(api).raise_for_status()
    listed = address | {"channel": "email", "cause": "bounced"}
    api.post("/v1/suppressions", json=listed).raise_for_status()
    found = api.get(at(STAYS, "/suppressions")).json()["suppressions"]
    assert [(each["channel"], each["cause"]) for each in found] == [("email", "bounced")]


def test_a_decision_repeated_under_its_key_after_a_merge_is_the_same(api, news):
    body, key = {"recipient_id": OTHER, "message": {"type": "bill"}}, {"Idempotency-Key": "k"}
    first = api.post("/v1/decisions", json=body, headers=key).raise_for_status().json()
    merge(api).raise_for_status()
    again = api.post("/v1/decisions", json=body, headers=key).raise_for_status().json()
    assert again["decision_id"] == first["decision_id"]
    after = api.post("/v1/decisions", json=body, headers={"Idempotency-Key": "l"}).raise_for_status().json()
    by_name = body | {"recipient_id": STAYS}
    same = api.post("/v1/decisions", json=by_name, headers={"Idempotency-Key": "l"}).raise_for_status().json()
    assert same["decision_id"] == after["decision_id"]


def test_contacts_of_both_are_spent_on_who_stays(api, news):
    reason(api, OTHER, "bill")
    moved = merge(api).raise_for_status().json()["moved"]
    assert moved["contacts"] == 1


def test_a_merge_is_audited_under_both_pseudonyms(api, db, tenant, news):
    merge(api).raise_for_status()
    keys = {name: subject_key(tenant.subject_secret, name) for name in (STAYS, OTHER)}
    query = select(audit).where(audit.c.action.in_(["recipient.merged", "recipient.became_alias"]))
    with db.tenant(tenant.tenant) as connection:
        rows = {row.action: row for row in connection.execute(query)}
    assert {name: row.subject_key for name, row in rows.items()} == {
        "recipient.merged": keys[STAYS],
        "recipient.became_alias": keys[OTHER],
    }
    assert {row.reason for row in rows.values()} == {WHY["reason"]}


def test_who_stays_may_be_merged_again_and_no_chain_stands(api, news):
    merge(api).raise_for_status()
    say(api, OTHER, "withdrawn")
    merge(api, "third", other=STAYS).raise_for_status()
    assert consents(api, OTHER) == consents(api, STAYS) == consents(api, "third") == {("marketing", "*"): "withdrawn"}


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (None, (STAYS, STAYS), "merge.same_recipient"),
        ((STAYS, OTHER), (STAYS, OTHER), "merge.same_recipient"),
        ((STAYS, OTHER), (OTHER, STAYS), "merge.same_recipient"),
        ((STAYS, OTHER), (OTHER, "third"), "merge.is_alias"),
        ((STAYS, OTHER), ("third", OTHER), "merge.is_alias"),
    ],
)
def test_what_cannot_be_merged_is_refused_and_changes_nothing(api, news, first, second, code):
    say(api, "third", "withdrawn")
    if first:
        merge(api, first[0], other=first[1]).raise_for_status()
    before = consents(api, STAYS)
    answer = merge(api, second[0], other=second[1])
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert consents(api, STAYS) == before


@pytest.mark.parametrize("gone", [STAYS, OTHER])
@pytest.mark.parametrize("way", ["erasure", "deletion"])
def test_who_was_erased_or_deleted_is_merged_with_nobody(api, news, gone, way):
    say(api, STAYS), say(api, OTHER)
    if way == "erasure":
        api.post(at(gone, "/erasure"), json={}).raise_for_status()
    else:
        api.delete(at(gone, "/profile")).raise_for_status()
    answer = merge(api)
    assert (answer.status_code, answer.json()["code"]) == (409, "merge.deleted")


def test_erasing_who_stays_by_either_id_erases_both(api, db, tenant, news):
    merge(api).raise_for_status()
    api.post(at(OTHER, "/erasure"), json={}).raise_for_status()
    open_for = {Erasures(db).recipient(tenant, each) for each in Erasures(db).open(tenant)}
    assert open_for == {STAYS, OTHER}
    assert reason(api, STAYS, "bill") == reason(api, OTHER, "bill") == "recipient.deleted"


def test_an_event_that_deletes_the_alias_deletes_who_stays(api, db, tenant, news):
    merge(api).raise_for_status()
    gone = {"source": "crm", "event_id": "d", "type": "recipient_deleted", "recipient_id": OTHER}
    api.post("/v1/events", json={"events": [gone | {"occurred_at": datetime.now(UTC).isoformat()}]}).raise_for_status()
    open_for = {Erasures(db).recipient(tenant, each) for each in Erasures(db).open(tenant)}
    assert open_for == {STAYS, OTHER}
    assert reason(api, STAYS, "bill") == "recipient.deleted"
