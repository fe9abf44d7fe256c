"""The law's gate: legal hours on every clock that may be the recipient's, and the stop at too many complaints."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.gates import screen
from domain.legal import gate
from domain.legal.places import Place, country_of, place_of, zones_of
from domain.profiles import Profile, ZoneClaim, ZoneSource
from domain.tenants import zone_names
from domain.values import Channel, MessageClass, Outcome, Reason
from tests.builders import NEW_YORK, NOON, RULES, a_decision, a_law, a_request, a_situation, a_type
from tests.thorough import examples

HOUR = timedelta(hours=1)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of a strategy
ON_SMS = {"channels": ["sms"], "variants": [{"id": "a", "content": {"sms": {"body": "b"}}}]}
UTC_ZONE = ZoneInfo("UTC")


def refusal(channel=Channel.SMS, message_class=MessageClass.MARKETING, now=NOON, **law):
    return gate.refusal(a_law(**law), message_class=message_class, channel=channel, now=now)


def in_us(*names: str) -> Place:
    return Place(tuple(ZoneInfo(name) for name in names), frozenset({"US"}), "device", 0.1)


@pytest.mark.parametrize(
    ("local", "reason"),
    [
        ("07:59:59", Reason.LAW_HOURS_CLOSED),
        ("08:00:00", None),
        ("20:59:59", None),
        ("21:00:00", Reason.LAW_HOURS_CLOSED),
    ],
)
def test_a_marketing_text_goes_from_eight_to_twenty_one_there(local, reason):
    now = datetime.fromisoformat(f"2026-06-01T{local}").replace(tzinfo=NEW_YORK).astimezone(UTC)
    assert refusal(now=now) == reason
    assert refusal(Channel.VOICE, now=now) == reason
    assert refusal(Channel.EMAIL, now=now) is None
    assert refusal(message_class=MessageClass.SERVICE, now=now) is None


def test_outside_the_jurisdiction_the_hours_do_not_bind():
    night = NOON + 12 * HOUR
    assert refusal(now=night, place=Place((ZoneInfo("Asia/Tokyo"),), frozenset({"JP"}), "device", 1.0)) is None


def test_an_emergency_passes_quiet_hours_but_not_the_laws():
    alarm = a_situation(definition=a_type(is_emergency=True, **ON_SMS), now=NOON + 12 * HOUR)
    assert [each.reason for each in screen(a_request(), alarm).refusals] == [Reason.LAW_HOURS_CLOSED]


@settings(max_examples=examples(1_000, 150), deadline=None)
@given(st.sampled_from(sorted(zone_names())), MOMENTS)
def test_in_every_zone_and_through_every_change_of_the_clock_nothing_goes_outside_the_hours(name, now):
    place = Place((ZoneInfo(name),), frozenset({"US"}), "declared", 1.0)
    is_open = 8 <= now.astimezone(ZoneInfo(name)).hour < 21
    assert (refusal(now=now, place=place) is None) == is_open
    closed = gate.closings(a_law(place=place), message_class=MessageClass.MARKETING, channel=Channel.SMS)
    opens = gate.next_opening(closed, now=now)
    assert opens is not None
    assert 8 <= opens.astimezone(ZoneInfo(name)).hour < 21
    assert now <= opens <= now + 36 * HOUR
    if opens > now:
        assert refusal(now=opens - timedelta(microseconds=1), place=place) is Reason.LAW_HOURS_CLOSED


@pytest.mark.parametrize("change", ["2026-03-08T07:00", "2026-11-01T06:00"])
def test_an_hour_that_is_skipped_or_comes_twice_is_read_off_the_clock(change):
    start = datetime.fromisoformat(change).replace(tzinfo=UTC) - 24 * HOUR
    for minutes in range(0, 48 * 60, 15):
        now = start + timedelta(minutes=minutes)
        assert (refusal(now=now) is None) == (8 <= now.astimezone(NEW_YORK).hour < 21)


@settings(max_examples=examples(500, 80), deadline=None)
@given(st.lists(st.sampled_from(zones_of("US")), min_size=2, max_size=5), MOMENTS)
def test_unsure_means_open_in_every_plausible_zone(names, now):
    allowed = all(8 <= now.astimezone(ZoneInfo(name)).hour < 21 for name in names)
    assert (refusal(now=now, place=in_us(*names)) is None) == allowed


def test_where_nothing_is_known_the_strictest_hours_of_the_jurisdiction_hold():
    unknown = place_of(None, None, UTC_ZONE)
    open_hours = [
        hour for hour in range(24) if refusal(now=datetime(2026, 7, 1, hour, tzinfo=UTC), place=unknown) is None
    ]
    # Guam opens at 22 UTC, the Virgin Islands close at 1 UTC.
    assert open_hours == [0, 22, 23]


@pytest.mark.parametrize(
    ("share", "reason"),
    [(None, None), (0.00299, None), (0.003, Reason.LAW_COMPLAINT_STOP), (1.0, Reason.LAW_COMPLAINT_STOP)],
)
def test_too_many_complaints_stop_marketing_mail_and_nothing_else(share, reason):
    assert refusal(Channel.EMAIL, complaint_share=share) is reason
    assert refusal(Channel.SMS, complaint_share=share) is None
    assert refusal(Channel.EMAIL, MessageClass.SERVICE, complaint_share=share) is None


def test_it_stands_behind_expiry_and_before_the_rest():
    held = {"complaint_share": 0.01, "allowances": {"is_deleted": True}}
    expired = a_request(message={"expires_at": NOON.isoformat()})
    assert screen(a_request(), a_situation(**held)).refusals[0].reason is Reason.LAW_COMPLAINT_STOP
    assert screen(expired, a_situation(**held)).refusals[0].reason is Reason.EXPIRY_PASSED


def drafted(**fields):
    situation = a_situation(definition=a_type(**ON_SMS), **fields)
    return a_decision(situation=situation)


def test_a_text_waits_for_the_hour_that_suits_every_plausible_zone():
    draft = drafted(now=datetime(2026, 6, 1, 13, tzinfo=UTC), place=in_us("America/New_York", "Pacific/Honolulu"))
    assert (draft.outcome, draft.reason) == (Outcome.DEFER, Reason.LAW_HOURS_CLOSED)
    assert draft.send_at == datetime(2026, 6, 1, 18, tzinfo=UTC)


def test_where_no_hour_suits_every_zone_it_is_not_sent():
    draft = drafted(place=in_us("Asia/Tokyo", "Pacific/Honolulu", "Europe/Paris"))
    assert (draft.outcome, draft.reason) == (Outcome.SUPPRESS, Reason.LAW_NO_OPENING)


def claim(name, confidence=1.0, source=ZoneSource.NETWORK, **fields):
    return Profile(time_zone=ZoneClaim(name=name, source=source, confidence=confidence), **fields)


def test_a_sure_claim_is_the_place_and_beats_what_the_request_says():
    place = place_of(claim("Asia/Tokyo"), "Europe/Paris", UTC_ZONE)
    assert (place.zones, place.countries, place.source) == ((ZoneInfo("Asia/Tokyo"),), frozenset({"JP"}), "network")
    assert place.is_sure


def test_without_a_claim_the_request_tells_then_the_country_then_the_tenant():
    assert place_of(Profile(country="US"), "Europe/Paris", UTC_ZONE).zones == (ZoneInfo("Europe/Paris"),)
    country = place_of(Profile(country="US"), None, UTC_ZONE)
    assert {zone.key for zone in country.zones} == set(zones_of("US"))
    assert not country.is_sure
    nowhere = place_of(Profile(), None, NEW_YORK)
    assert (nowhere.zones, nowhere.countries, nowhere.source) == ((NEW_YORK,), frozenset({"US"}), "tenant")
    assert place_of(None, None, UTC_ZONE).countries is None


def test_an_unsure_claim_counts_beside_the_countrys_zones():
    place = place_of(claim("Europe/Madrid", 0.4, country="ES"), None, UTC_ZONE)
    assert place.zone == ZoneInfo("Europe/Madrid")
    assert {zone.key for zone in place.zones} == set(zones_of("ES"))
    assert (place.countries, place.confidence, place.is_sure) == (frozenset({"ES"}), 0.4, False)


def test_quiet_hours_hold_in_every_plausible_zone():
    spain = place_of(claim("Europe/Madrid", 0.4, country="ES"), None, UTC_ZONE)
    now = datetime(2026, 6, 1, 6, 30, tzinfo=UTC)
    assert {each.reason for each in screen(a_request(), a_situation(place=spain, now=now)).refusals} == {
        Reason.QUIET_HOURS_NOW
    }


def test_every_country_with_a_rule_has_zones():
    assert [code for codes in RULES.jurisdictions.values() for code in codes if not zones_of(code)] == []
    assert (country_of("US/Eastern"), country_of("Asia/Kolkata"), country_of("UTC")) == ("US", "IN", None)
