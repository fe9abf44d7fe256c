"""Webhooks: the signature of the standard, and pauses that grow, differ and end."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import webhooks
from domain.changes import ChangeKind
from domain.webhooks import DISABLE_AFTER, MOST_ATTEMPTS, OF_CHANGE, TRIP, Attempt, HookEvent

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_signature_is_the_one_of_the_standards_own_example():
    secret = webhooks.read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    made = webhooks.headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_make_two_signatures_and_each_is_its_own():
    one, two = b"a" * 32, b"b" * 32
    both = webhooks.headers([two, one], "msg_1", NOW, b"{}")["webhook-signature"].split(" ")
    alone = [webhooks.headers([each], "msg_1", NOW, b"{}")["webhook-signature"] for each in (two, one)]
    assert both == alone
    assert len(set(both)) == 2


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_is_read_as_it_was_written(secret):
    assert webhooks.read(webhooks.written(secret)) == secret


def test_what_is_no_secret_is_refused():
    with pytest.raises(ValueError, match="whsec_"):
        webhooks.read("whsec_!!!")


def test_a_body_is_the_same_whatever_the_order_of_its_fields():
    one, two = webhooks.body("test", NOW, {"a": 1, "b": 2}), webhooks.body("test", NOW, {"b": 2, "a": 1})
    assert one == two == b'{"data":{"a":1,"b":2},"timestamp":"2026-03-02T12:00:00+00:00","type":"test"}'


@given(st.integers(1, MOST_ATTEMPTS - 1), st.floats(0, 1))
def test_every_pause_lies_within_its_jitter_and_a_day(attempts, draw):
    pause = webhooks.next_attempt(attempts, NOW, draw) - NOW
    middle = webhooks.next_attempt(attempts, NOW, 0.5) - NOW
    assert 0.8 * middle <= pause + timedelta(microseconds=1)
    assert pause <= 1.2 * middle + timedelta(microseconds=1)
    assert timedelta(seconds=4) <= pause <= timedelta(days=1.2)


def test_pauses_grow_and_end_after_days():
    middles = [webhooks.next_attempt(each, NOW, 0.5) - NOW for each in range(1, MOST_ATTEMPTS)]
    assert middles == sorted(middles)
    assert timedelta(days=2) < sum(middles, timedelta()) < DISABLE_AFTER
    assert webhooks.next_attempt(MOST_ATTEMPTS, NOW, 0.5) is None


@pytest.mark.parametrize(
    ("asked", "seconds"), [("60", 60), ("1", 5), ("9" * 30, 3600), ("soon", 5), ("-1", 5), ("\u0663", 5)]
)
def test_a_receiver_may_ask_for_a_longer_pause_up_to_an_hour(asked, seconds):
    assert webhooks.next_attempt(1, NOW, 0.5, asked) == NOW + timedelta(seconds=seconds)


def test_a_hook_rests_after_failures_in_a_row_and_never_more_than_about_an_hour():
    assert webhooks.rest_until(TRIP - 1, NOW, 0.5) is None
    assert webhooks.rest_until(TRIP, NOW, 0.5) == NOW + timedelta(seconds=30)
    assert webhooks.rest_until(TRIP + 1, NOW, 0.5) == NOW + timedelta(seconds=60)
    assert webhooks.rest_until(10**6, NOW, 1.0) == NOW + timedelta(minutes=72)


@pytest.mark.parametrize(("status", "is_success"), [(200, True), (204, True), (299, True), (301, False), (500, False)])
def test_only_a_2xx_is_a_success(status, is_success):
    attempt = Attempt(attempt=1, at=NOW, status=status, problem=None, milliseconds=1)
    assert attempt.is_success is is_success


def test_every_kind_of_change_has_its_event():
    assert set(OF_CHANGE) == set(ChangeKind)
    assert set(OF_CHANGE.values()) == set(HookEvent) - {
        HookEvent.POST_DECISION,
        HookEvent.QUALITY_THRESHOLD_FAILED,
        HookEvent.DECISION_RELEASED,
        HookEvent.DECISION_STOPPED,
        HookEvent.DIGEST_RELEASED,
    }


def test_the_signature_is_base64_of_a_sha256():
    made = webhooks.headers([b"k" * 32], "msg_1", NOW, b"{}")["webhook-signature"].removeprefix("v1,")
    assert len(base64.b64decode(made, validate=True)) == 32
