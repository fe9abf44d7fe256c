"""Hooks over HTTP: made, read without their secret, changed, rotated, tested, ended; nothing inside is accepted."""

import pytest
from sqlalchemy import select

from adapters.egress import Egress
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.hook_deliveries import HookDeliveries
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from serving.deliverer import Deliverer
from tests.pages import walked
from tests.receiver import receiving
from tests.unit.domain.test_outside import INSIDE, MISWRITTEN

HOOKS = "/v1/admin/hooks"
URL = "https://hooks.example.com/in?token=t0ken"
NEW = {"url": URL, "events": ["profile_updated"], "description": "shop"}


@pytest.fixture
def hook(api):
    answer = api.post(HOOKS, json=NEW)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_secret_is_shown_once(api, hook):
    assert hook["secret"].startswith("whsec_")
    there = f"{HOOKS}/{hook['hook']['hook_id']}"
    for answer in (api.get(HOOKS), api.get(there)):
        assert answer.status_code == 200
        assert "whsec_" not in answer.text
    assert api.get(there).json() == hook["hook"]
    assert (hook["hook"]["url"], hook["hook"]["events"], hook["hook"]["is_enabled"]) == (URL, ["profile_updated"], True)


@pytest.mark.parametrize("url", [*INSIDE, *(each for each in MISWRITTEN if each and len(each) <= 2_000)])
def test_a_url_that_leads_inside_or_two_ways_is_refused(api, hook, url):
    there = f"{HOOKS}/{hook['hook']['hook_id']}"
    for answer in (api.post(HOOKS, json=NEW | {"url": url}), api.patch(there, json={"url": url})):
        assert (answer.status_code, answer.json()["field"]) == (422, "url"), answer.text
    assert [each["url"] for each in api.get(HOOKS).json()["hooks"]] == [URL]


@pytest.mark.parametrize("change", [{"events": []}, {"events": ["pre_decision"]}, {"url": ""}, {"secret": "whsec_x"}])
def test_a_hook_that_cannot_be_is_refused(api, change):
    assert api.post(HOOKS, json=NEW | change).status_code == 422
    assert api.get(HOOKS).json() == {"hooks": []}


def test_a_hook_changes_only_where_told(api, hook):
    there = f"{HOOKS}/{hook['hook']['hook_id']}"
    changed = api.patch(there, json={"events": ["post_decision"], "is_enabled": False}).json()
    assert (changed["url"], changed["events"], changed["is_enabled"]) == (URL, ["post_decision"], False)
    assert api.patch(there, json={}).status_code == 422
    assert api.delete(there).status_code == 204
    assert [api.request(how, there, json={"is_enabled": True}).status_code for how in ("GET", "PATCH", "DELETE")] == [
        404
    ] * 3


def test_a_rotated_secret_is_another(api, hook):
    rotated = api.post(f"{HOOKS}/{hook['hook']['hook_id']}/rotate", json={})
    assert rotated.status_code == 201
    assert rotated.json()["secret"] != hook["secret"]


def test_a_test_message_is_delivered_logged_and_can_be_sent_again(api, hook, db, box, tenant):
    hook_id = hook["hook"]["hook_id"]
    left = api.post(f"{HOOKS}/{hook_id}/test")
    assert left.status_code == 202
    deliveries, egress = HookDeliveries(db, box), Egress(allow_loopback=True)
    deliverer = Deliverer(deliveries=deliveries, tenants=lambda: [tenant.tenant], egress=egress)
    made = api.get(f"{HOOKS}/{hook_id}/deliveries").json()
    assert [(each["delivery_id"], each["state"]) for each in made["deliveries"]] == [
        (left.json()["delivery_id"], "waiting")
    ]
    with receiving() as receiver:
        # The API of the test accepts public hosts only; where the message goes is changed behind it.
        from adapters.postgres.hooks import Hooks

        Hooks(db, box).change(tenant, hook_id, {"url": receiver.url}, actor="test")
        deliverer.step()
        assert receiver.messages[0].is_signed_with(hook["secret"])
        again = f"{HOOKS}/{hook_id}/deliveries/{left.json()['delivery_id']}/retry"
        assert api.post(again).status_code == 202
        deliverer.step()
        assert len(receiver.ids) == 2
        assert len(set(receiver.ids)) == 1
    egress.close()
    (told,) = api.get(f"{HOOKS}/{hook_id}/deliveries", params={"state": "delivered"}).json()["deliveries"]
    assert [each["status"] for each in told["attempts"]] == [204, 204]


def test_deliveries_come_in_pages_without_gap_or_double(api, hook):
    hook_id = hook["hook"]["hook_id"]
    left = [api.post(f"{HOOKS}/{hook_id}/test").json()["delivery_id"] for _ in range(5)]
    found = walked(api, f"{HOOKS}/{hook_id}/deliveries", "deliveries", limit=2)
    assert [each["delivery_id"] for each in found] == left[::-1]


def test_there_is_an_end_to_hooks(api):
    made = [api.post(HOOKS, json=NEW).status_code for _ in range(21)]
    assert made == [201] * 20 + [409]


def test_what_is_done_to_hooks_is_in_the_trail_without_url_or_secret(api, hook, db, tenant):
    there = f"{HOOKS}/{hook['hook']['hook_id']}"
    api.patch(there, json={"description": "x"})
    api.post(f"{there}/rotate", json={})
    api.post(f"{there}/test")
    api.delete(there)
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(audit).where(audit.c.object.like("hook:%"))).all()
    wanted = ["hook.changed", "hook.created", "hook.deleted", "hook.rotated", "hook.tested"]
    assert sorted(row.action for row in rows) == wanted
    assert "t0ken" not in repr(rows)
    assert "whsec_" not in repr(rows)


def test_another_tenant_has_no_such_hook(server, hook, db, box, tenant):
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    headers = {"X-API-Key": ApiKeys(db, box).issue(other.tenant, name="b")}
    there = f"{HOOKS}/{hook['hook']['hook_id']}"
    assert server.get(HOOKS, headers=headers).json() == {"hooks": []}
    asked = [("GET", there), ("DELETE", there), ("POST", f"{there}/test"), ("GET", f"{there}/deliveries")]
    assert [server.request(how, path, headers=headers).status_code for how, path in asked] == [404] * 4
