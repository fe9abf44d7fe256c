"""When a message waits for a digest, until when, and what is put together then."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain import content, digests
from domain.decisioning import decide
from domain.digest_types import as_type
from domain.expected import Expected
from domain.follow_ups import follow_up
from domain.gates import screen
from domain.handover import Kind
from domain.message_types import Digest
from domain.preference_gate import Choices
from domain.preferences import Frequency
from domain.stages import Asked
from domain.templates import CannotRender
from domain.values import Channel, Outcome, Reason
from tests.builders import NOON, SETTINGS, a_preference, a_request, a_situation, a_type

EVENING = NOON + timedelta(hours=6)
"""Six o'clock in New York."""
SAID = {"email": {"subject": "{{ count }} new", "body": "{% for item in items %}{{ item.name }}.{% endfor %}"}}
DIGEST = {"at": ["18:00"], "content": SAID}
NAMED = {"variables": {"type": "object", "properties": {"name": {"type": "string", "default": "you"}}}}


def a_digested(**digest):
    return a_type(digest=DIGEST | digest, **NAMED)


def decided(request=None, *, digest=None, **situation):
    there = a_situation(definition=a_digested(**(digest or {})), **situation)
    asked = request or a_request()
    return decide(Asked("d-1", asked, there, Expected(), is_holdout=False, settings=SETTINGS), screen(asked, there))


def test_the_next_time_is_the_first_after_now_on_a_day_of_the_digest() -> None:
    zone = ZoneInfo("America/New_York")
    digest = Digest.model_validate(DIGEST | {"at": ["18:00", "08:00"], "weekdays": ["monday", "thursday"]})
    wanted = [NOON + timedelta(hours=6), NOON + timedelta(hours=68), NOON + timedelta(hours=78)]
    at, found = NOON, []
    for _ in wanted:
        at = digests.next_time(digest, after=at, zone=zone)
        found.append(at)
    assert found == wanted


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        # The clock goes from two to three: half past two is taken as the moment with the offset before.
        (datetime(2026, 3, 8, 5, tzinfo=UTC), "02:30", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        # The clock shows half past one twice: the first of them.
        (datetime(2026, 11, 1, 4, tzinfo=UTC), "01:30", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "01:30", datetime(2026, 11, 2, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_time_that_the_clock_skips_or_repeats_comes_once(day, at, expected) -> None:
    digest = Digest.model_validate(DIGEST | {"at": [at]})
    assert digests.next_time(digest, after=day, zone=ZoneInfo("America/New_York")) == expected


def daily(frequency=Frequency.DAILY):
    return {"allowances": {"choices": Choices(preferences=(a_preference(frequency=frequency),))}}


NIGHT = {"now": NOON + timedelta(hours=12)}
QUIET_EVENING = {"at": ["23:00"]}


@pytest.mark.parametrize(
    ("digest", "situation", "until"),
    [
        ({"collects": "all"}, {}, EVENING),
        ({"collects": "held"}, {}, None),
        ({"collects": "held"}, NIGHT, EVENING + timedelta(days=1)),
        ({"collects": "chosen"}, NIGHT, None),
        ({"collects": "chosen"}, daily(), EVENING),
        ({"collects": "chosen"}, daily(Frequency.WEEKLY), EVENING),
        ({"collects": "chosen"}, daily(Frequency.HOURLY), None),
        ({"collects": "all"} | QUIET_EVENING, {}, NOON + timedelta(hours=20)),
    ],
)
def test_what_the_type_and_the_recipient_say_decides_what_waits_and_until_when(digest, situation, until) -> None:
    draft = decided(digest=digest, **situation)
    is_in_digest = draft.reason is Reason.POLICY_DIGEST
    assert is_in_digest == (until is not None)
    if until is not None:
        left = follow_up(draft)
        assert (draft.outcome, draft.send_at, draft.choice) == (Outcome.DEFER, until, None)
        assert left is not None
        assert (left.kind, left.due_at, left.reserved) == (Kind.DIGEST, until, None)


@pytest.mark.parametrize(
    "request_fields",
    [
        {"message": {"urgency": "immediate"}},
        {"message": {"urgency": "within_hour"}},
        {"message": {"expires_at": EVENING.isoformat()}},
        {"delivery_window": {"until": EVENING.isoformat()}},
        {"channels": ["push"]},
        {"policy": "uniform"},
    ],
)
def test_what_cannot_wait_or_is_not_said_there_does_not(request_fields) -> None:
    assert decided(a_request(**request_fields), digest={"collects": "all"}).reason is not Reason.POLICY_DIGEST


PRICED = {"body": "{% for item in items %}{{ item.name | currency: 'EUR' }}{% endfor %}"}


@pytest.mark.parametrize(
    ("name", "digest", "fits"),
    [
        ("x" * 12_000, {}, True),
        ("x" * 13_000, {}, False),
        ("é" * 3_000, {}, False),
        ("x" * 13_000, {"at_most": 2}, True),
        ("x" * 60_000, {"at_most": 2}, False),
        ("3", {"content": {"email": PRICED}}, True),
        ("abc", {"content": {"email": PRICED}}, False),
        ("Ada", {"content": {"email": {"body": "{{ items[1].name }}"}}}, True),
        ("Ada", {"at_least": 1, "content": {"email": {"body": "{{ items[1].name }}"}}}, False),
    ],
)
def test_a_message_fits_a_digest_that_can_be_asked_for_and_filled(name, digest, fits) -> None:
    request, there = a_request(message={"variables": {"name": name}}), a_situation(definition=a_digested(**digest))
    assert digests.fits(request, there) == fits


def test_a_channel_that_a_message_did_not_ask_for_need_not_be_fillable() -> None:
    there = a_situation(definition=a_digested(content={"email": {"body": "b"}, "push": PRICED}))
    asked = {"message": {"variables": {"name": "abc"}}}
    assert not digests.fits(a_request(**asked), there)
    assert digests.fits(a_request(channels=["email"], **asked), there)


def test_a_message_that_fits_no_digest_goes_its_own_way_and_only_its_record_says_so() -> None:
    there, request = a_situation(definition=a_digested(collects="all")), a_request()
    apart = SETTINGS.where(may_wait=True, fits_digest=False)
    draft = decide(Asked("d-1", request, there, Expected(), is_holdout=False, settings=apart), screen(request, there))
    assert draft.reason is not Reason.POLICY_DIGEST
    assert apart.model_dump(mode="json")["fits_digest"] is False
    assert "fits_digest" not in SETTINGS.model_dump(mode="json")


def test_what_may_go_nowhere_is_not_kept_for_later() -> None:
    draft = decided(digest={"collects": "all"}, allowances={"consents": ()})
    assert (draft.outcome, draft.reason) == (Outcome.SUPPRESS, Reason.CONSENT_MISSING)


@pytest.mark.parametrize(
    ("count", "digests_of", "singles"),
    [(0, [], 0), (1, [], 1), (2, [2], 0), (4, [4], 0), (5, [4], 1), (6, [4, 2], 0)],
)
def test_what_is_due_is_put_together_and_what_is_too_few_goes_by_itself(count, digests_of, singles) -> None:
    digest = Digest.model_validate(DIGEST | {"at_least": 2, "at_most": 4})
    found = digests.grouped(range(count), digest)
    assert [len(each) for each in found.digests] == digests_of
    assert len(found.singles) == singles
    assert [each for part in found.digests for each in part] + list(found.singles) == list(range(count))
    assert digests.grouped(range(count), None).singles == tuple(range(count))


def test_a_digest_is_said_from_what_each_message_was_given() -> None:
    definition = a_digested()
    asked = [a_request(message={"variables": {"name": name}}) for name in ("Ada", "Eve")] + [a_request()]
    request = digests.together(asked, definition)
    said = content.render(
        as_type(definition),
        channel=Channel.EMAIL,
        variant_id="digest",
        wanted=[],
        variables=request.message.variables,
    )
    assert (said.subject, said.body) == ("3 new", "Ada.Eve.you.")


def test_a_digest_is_worthless_with_the_first_of_its_messages_and_shares_only_what_all_share() -> None:
    soon, later = (NOON + timedelta(hours=hours) for hours in (8, 9))
    one = a_request(message={"expires_at": later.isoformat()}, campaign_id="c", journey_id="j")
    other = a_request(delivery_window={"until": soon.isoformat()}, campaign_id="c", journey_id="k")
    request = digests.together([one, other], a_digested())
    assert (request.message.expires_at, request.campaign_id, request.journey_id) == (soon, "c", None)
    assert request.delivery_window is None


@pytest.mark.parametrize(
    ("fields", "digest", "told"),
    [
        ({"class": "transactional"}, {}, "not for transactional"),
        ({"is_emergency": True, "class": "service"}, {}, "emergencies"),
        ({}, {"content": {"sms": {"body": "b"}}}, "sms"),
        ({}, {"at": ["18:00", "18:00"]}, "different times"),
        ({}, {"at": []}, "at"),
        ({}, {"at_least": 5, "at_most": 4}, "at_most"),
        ({"variants": [{"id": "digest", "content": {"email": {"body": "b"}, "push": {"body": "b"}}}]}, {}, "digest"),
    ],
)
def test_a_digest_that_makes_no_sense_is_refused(fields, digest, told) -> None:
    with pytest.raises(ValidationError, match=told):
        a_type(**fields, digest=DIGEST | digest)


def test_a_digest_may_use_its_own_variables_and_no_others() -> None:
    content.check(a_digested())
    with pytest.raises(CannotRender, match=r"^digest\.content\.email\.body uses the variable name"):
        content.check(a_digested(content={"email": {"body": "{{ name }}"}}))


def test_a_type_without_a_digest_keeps_the_document_it_had() -> None:
    assert "digest" not in a_type().document()
    assert a_digested().document()["digest"]["at"] == ["18:00"]
