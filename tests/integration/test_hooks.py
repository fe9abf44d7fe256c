"""Webhooks from the change to the receiver: signed, at least once, tried again, put to rest, ended, forgotten."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from adapters.clock import real_now
from adapters.egress import Egress, Limits
from adapters.personal_data import place_names
from adapters.personal_data.places import Person
from adapters.personal_data.postgres_places import Table
from adapters.postgres.changes import ChangeFeed
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.erasures import Erasures
from adapters.postgres.hook_deliveries import LEASE, HookDeliveries
from adapters.postgres.hook_tables import hook as hooks_table
from adapters.postgres.hook_tables import hook_attempt, hook_delivery
from adapters.postgres.hooks import Hooks
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.profiles import Profiles
from adapters.postgres.tables import audit
from adapters.settings import Settings
from domain import webhooks
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.profiles import Profile
from domain.values import Purpose
from domain.webhooks import DeliveryState, HookEvent
from serving.announcer import Announcer
from serving.asks import Ask
from serving.decide import Decider
from serving.deliverer import Deliverer
from tests.builders import NOON, a_type
from tests.receiver import receiving

EVERY = tuple(HookEvent)


class Site:
    """One tenant's hooks, changes and deliverer, at a moment the test sets."""

    def __init__(self, db, box, tenant):
        self.db, self.tenant, self.now = db, tenant, real_now()
        self.hooks = Hooks(db, box)
        self.deliveries = HookDeliveries(db, box)
        self.egress = Egress(allow_loopback=True, limits=Limits(1, 1, 2))
        names = [tenant.tenant]
        self.deliverer = Deliverer(
            deliveries=self.deliveries,
            tenants=lambda: names,
            egress=self.egress,
            now=lambda: self.now,
            draw=lambda: 0.5,
        )
        self._announcer = Announcer(feed=ChangeFeed(db), tenants=lambda: names, retention=timedelta(hours=1))

    def make(self, url, events=EVERY):
        return self.hooks.create(self.tenant, url=url, events=events, description="", actor="test")

    def change(self, *recipients):
        Profiles(self.db).put_many(self.tenant, dict.fromkeys(recipients, Profile(country="FR")), actor="test")
        self._announcer.step()

    def deliver(self):
        """Send what is due now, to the last message."""
        self.now = max(self.now, real_now())
        while not self.deliverer.step():
            pass

    def later(self, passed: timedelta):
        self.now += passed
        self.deliver()

    def rows(self, table):
        with self.db.tenant(self.tenant.tenant) as connection:
            return connection.execute(select(table)).all()

    def states(self):
        return sorted(row.state for row in self.rows(hook_delivery))


@pytest.fixture
def site(db, box, tenant):
    site = Site(db, box, tenant)
    yield site
    site.egress.close()


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def test_a_change_is_told_signed_and_without_its_value(site, receiver):
    made, secret = site.make(receiver.url, [HookEvent.PROFILE_UPDATED])
    site.change("r")
    site.deliver()
    (message,) = receiver.messages
    assert message.is_signed_with(secret)
    assert not message.is_signed_with(webhooks.written(b"x" * 32))
    assert (message.body["type"], message.body["data"]["recipient_id"]) == ("profile_updated", "r")
    assert "FR" not in message.raw.decode()
    assert abs(int(message.headers["webhook-timestamp"]) - site.now.timestamp()) < 300
    assert site.states() == ["delivered"]
    assert made.hook_id.startswith("hook_")


def test_a_hook_is_told_only_of_what_it_asked_for_and_from_then_on(site, receiver):
    site.change("before")
    site.make(receiver.url, [HookEvent.CONSENT_UPDATED])
    site.change("r")
    change = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON)
    ConsentStore(site.db).record(site.tenant, "r", [change], actor="test", now=NOON)
    site.change()
    site.deliver()
    assert [each.body["type"] for each in receiver.messages] == ["consent_updated"]


def test_a_decision_is_told_once_however_often_it_is_asked_for(site, receiver):
    site.make(receiver.url, [HookEvent.POST_DECISION])
    MessageTypes(site.db).publish(site.tenant, [a_type(**{"class": "transactional"})], actor="test")
    decider = Decider(DecisionLog(site.db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000))
    request = DecisionRequest.model_validate({"recipient_id": "person-1", "message": {"type": "news"}})
    for _ in range(2):
        decider.decide(site.tenant, [Ask("d-1", request, may_repeat=True)], now=NOON, actor="test")
    site.deliver()
    (message,) = receiver.messages
    assert message.body["data"]["decision_id"] == "d-1"
    assert message.body["data"]["outcome"] == "send_now"
    assert "person-1" not in message.raw.decode()


def test_what_fails_is_tried_again_later_with_the_same_id_and_bytes(site, receiver):
    _, secret = site.make(receiver.url)
    receiver.status = 500
    site.change("r")
    site.deliver()
    site.deliver()
    assert len(receiver.messages) == 1, "the pause was not kept"
    receiver.status = 204
    site.later(timedelta(seconds=6))
    first, second = receiver.messages
    assert (first.id, first.raw) == (second.id, second.raw)
    assert second.is_signed_with(secret)
    assert sorted((row.attempt, row.status) for row in site.rows(hook_attempt)) == [(1, 500), (2, 204)]
    assert site.states() == ["delivered"]


def test_a_redirect_is_a_failure_and_is_not_followed(site, receiver):
    with receiving() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        site.make(receiver.url)
        site.change("r")
        site.deliver()
        assert (len(receiver.messages), elsewhere.messages) == (1, [])
    assert site.states() == ["waiting"]


def test_a_receiver_that_asks_for_a_pause_has_it(site, receiver):
    receiver.status, receiver.headers = 503, {"Retry-After": "600"}
    site.make(receiver.url)
    site.change("r")
    site.deliver()
    site.later(timedelta(seconds=300))
    assert len(receiver.messages) == 1
    site.later(timedelta(seconds=301))
    assert len(receiver.messages) == 2


def test_what_never_succeeds_ends_as_a_dead_letter_and_can_be_sent_again(site, receiver):
    made, _ = site.make(receiver.url)
    receiver.status = 500
    site.change("r")
    for _ in range(webhooks.MOST_ATTEMPTS):
        site.later(timedelta(days=1))
        with site.db.tenant(site.tenant.tenant) as connection:
            connection.execute(text("UPDATE hook SET failing_since = NULL, rest_until = NULL"))
    assert (len(receiver.messages), site.states()) == (webhooks.MOST_ATTEMPTS, ["dead"])
    (dead,) = site.deliveries.listed(site.tenant, made.hook_id, state=DeliveryState.DEAD, before=None, limit=10)
    assert [each.status for each in dead.attempts] == [500] * webhooks.MOST_ATTEMPTS
    receiver.status = 200
    site.deliveries.retry(site.tenant, made.hook_id, dead.delivery_id, actor="test", now=site.now)
    site.later(timedelta(hours=2))
    assert site.states() == ["delivered"]


def test_a_hook_that_fails_rests_and_the_others_do_not(site, receiver):
    with receiving() as broken:
        broken.status = 500
        site.make(broken.url)
        site.make(receiver.url)
        site.change(*(f"r{number}" for number in range(40)))
        site.deliver()
        assert len(receiver.messages) == 40
        asked = len(broken.messages)
        assert webhooks.TRIP <= asked < 40
        site.later(timedelta(hours=1.3))
        assert len(broken.messages) == asked + 1, "a resting hook is asked with one message"
        broken.status = 204
        site.later(timedelta(hours=1.3))
        assert len(set(broken.ids)) == 40
    assert site.states() == ["delivered"] * 80


def test_a_hook_that_fails_for_days_is_switched_off_and_comes_back_when_told(site, receiver):
    made, _ = site.make(receiver.url)
    receiver.status = 500
    site.change("r")
    site.deliver()
    site.later(webhooks.DISABLE_AFTER + timedelta(seconds=1))
    off = site.hooks.get(site.tenant, made.hook_id)
    assert (off.is_enabled, off.disabled_because) == (False, "every delivery failed for 5 days")
    assert "hook.disabled" in [row.action for row in site.rows(audit)]
    site.change("later")
    count = len(receiver.messages)
    site.later(timedelta(days=1))
    assert len(receiver.messages) == count
    receiver.status = 204
    assert site.hooks.change(site.tenant, made.hook_id, {"is_enabled": True}, actor="test").failing_since is None
    site.later(timedelta(hours=1))
    assert site.states() == ["delivered"]


def test_a_receiver_that_is_gone_is_not_asked_again(site, receiver):
    made, _ = site.make(receiver.url)
    receiver.status = 410
    site.change("r")
    site.deliver()
    assert site.hooks.get(site.tenant, made.hook_id).disabled_because == "it answered 410 Gone"


def test_an_old_secret_signs_until_its_overlap_ends(site, receiver):
    made, old = site.make(receiver.url)
    _, new = site.hooks.rotate(site.tenant, made.hook_id, overlap=timedelta(hours=1), actor="test")
    site.change("r")
    site.deliver()
    assert (receiver.messages[0].is_signed_with(old), receiver.messages[0].is_signed_with(new)) == (True, True)
    site.now += timedelta(hours=2)
    site.change("again")
    site.deliver()
    assert (receiver.messages[1].is_signed_with(old), receiver.messages[1].is_signed_with(new)) == (False, True)


def test_two_deliverers_send_nothing_twice(site, receiver):
    site.make(receiver.url)
    site.change("r")
    site.now = real_now()
    first = site.deliveries.take(site.tenant.tenant, now=site.now, limit=10)
    second = site.deliveries.take(site.tenant.tenant, now=site.now, limit=10)
    assert (len(first), second) == (1, [])
    again = site.deliveries.take(site.tenant.tenant, now=site.now + LEASE, limit=10)
    assert [each.delivery_id for each in again] == [first[0].delivery_id]


def test_an_inner_address_is_never_connected_to_even_if_it_was_stored(db, box, site, receiver):
    site.make(receiver.url)
    site.change("r")
    strict = Egress()
    Deliverer(deliveries=site.deliveries, tenants=lambda: [site.tenant.tenant], egress=strict, now=real_now).step()
    strict.close()
    assert receiver.messages == []
    assert [row.problem for row in site.rows(hook_attempt)] == ["expected a public address"]


def test_url_and_secret_are_sealed_at_rest(site, receiver):
    _, secret = site.make(receiver.url)
    (row,) = site.rows(hooks_table)
    told = repr(row) + bytes(row.sealed).decode("latin-1")
    assert receiver.url not in told
    assert secret.removeprefix("whsec_") not in told


def test_what_was_delivered_is_forgotten_after_its_time_and_what_waits_is_not(site, receiver):
    site.make(receiver.url)
    site.change("r")
    site.deliver()
    site.change("waits")
    at = site.now + timedelta(days=8)
    gone = site.deliveries.prune(site.tenant.tenant, delivered_before=at, dead_before=site.now - timedelta(days=1))
    assert (gone, site.states(), site.rows(hook_attempt)) == (1, ["waiting"], [])


def test_a_deleted_hook_leaves_nothing(site, receiver):
    made, _ = site.make(receiver.url)
    site.change("r")
    site.deliver()
    site.hooks.delete(site.tenant, made.hook_id, actor="test")
    assert [site.rows(table) for table in (hooks_table, hook_delivery, hook_attempt)] == [[], [], []]


def test_a_persons_messages_go_with_the_person_and_nobody_elses(site, receiver):
    site.make(receiver.url, [HookEvent.PROFILE_UPDATED])
    site.change("goes", "stays")
    assert "hook_delivery" in place_names.tables()
    asked = Erasures(site.db).request(site.tenant, "goes", actor="test", now=NOON)
    with site.db.tenant(site.tenant.tenant) as connection:
        assert Table("hook_delivery").erase(connection, Person(site.tenant, "goes", asked.erasure_id)) == 1
    assert [row.recipient_id for row in site.rows(hook_delivery)] == ["stays"]
