"""Records of a consent platform: given only with full proof, taken away however little is said."""

from datetime import timedelta

import pytest

from domain.consent import ConsentStatus
from domain.consent_platform import FULL_PROOF, Refused, admitted
from domain.values import Purpose
from tests.builders import NOON

DAY = timedelta(days=1)
FULL = {
    "record_id": "c-1", "recipient_id": "r", "purpose": "marketing", "channel": "email", "status": "granted",
    "effective_at": (NOON - DAY).isoformat(), "text_version": "v3", "source": "banner", "actor": "web",
    "address": "192.0.2.7",
}  # fmt: skip


def read(**changes):
    raw = {name: value for name, value in (FULL | changes).items() if value is not ...}
    return admitted(raw, platform="cmp", now=NOON)


def test_a_consent_given_with_full_proof_counts_with_all_of_it():
    found = read()
    (change,) = found.changes
    assert (found.recipient_id, change.status, change.effective_at) == ("r", ConsentStatus.GIVEN, NOON - DAY)
    assert (change.source, change.text_version, change.address) == ("platform:cmp", "v3", "192.0.2.7")
    assert change.proof == {"platform": "cmp", "record_id": "c-1", "source": "banner", "actor": "web"}


@pytest.mark.parametrize("part", FULL_PROOF)
@pytest.mark.parametrize("without", [..., None])
def test_a_consent_given_without_a_part_of_the_proof_is_refused_by_its_name(part, without):
    found = read(**{part: without})
    assert isinstance(found, Refused)
    assert found.field == part


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "maybe"), ("status", 7), ("purpose", "profiling"), ("channel", "pigeon"), ("recipient_id", ""),
        ("effective_at", "yesterday"), ("effective_at", (NOON + DAY).isoformat()), ("extra", 1), ("record_id", ...),
    ],
)  # fmt: skip
def test_a_consent_given_that_cannot_be_read_is_refused_without_its_value(field, value):
    found = read(**{field: value})
    assert isinstance(found, Refused)
    assert found.field == field
    assert not isinstance(value, str) or not value or value not in found.expected


def test_a_request_needs_no_proof():
    found = read(status="pending", **dict.fromkeys(FULL_PROOF, ...))
    assert found.changes[0].status is ConsentStatus.REQUESTED


@pytest.mark.parametrize(
    ("word", "status"),
    [("withdrawn", "withdrawn"), ("Revoked", "withdrawn"), ("denied", "refused"), ("expired", "expired")],
)
def test_a_withdrawal_counts_with_nothing_but_a_recipient(word, status):
    found = admitted({"status": word, "recipient_id": "r"}, platform="cmp", now=NOON)
    assert {change.purpose for change in found.changes} == set(Purpose)
    assert {(change.channel, change.status, change.effective_at) for change in found.changes} == {("*", status, None)}


@pytest.mark.parametrize(
    "broken",
    [
        {"channel": "pigeon"}, {"effective_at": "yesterday"}, {"effective_at": (NOON + DAY).isoformat()},
        {"text_version": "x" * 999}, {"address": 7}, {"extra": {"a": []}}, {"expires_at": "soon"}, {"actor": None},
    ],
)  # fmt: skip
def test_nothing_in_a_withdrawal_can_make_it_refused(broken):
    found = read(status="withdrawn", **broken)
    (change,) = found.changes
    assert (change.purpose, change.status) == (Purpose.MARKETING, ConsentStatus.WITHDRAWN)
    assert change.channel == ("*" if "channel" in broken else "email")
    assert change.effective_at == (None if "effective_at" in broken else NOON - DAY)


def test_a_purpose_nobody_knows_withdraws_all_of_them():
    assert len(read(status="withdrawn", purpose="profiling").changes) == len(Purpose)


def test_a_withdrawal_of_nobody_cannot_count():
    assert read(status="withdrawn", recipient_id=7).field == "recipient_id"
