"""Consent records in the shape of ISO/IEC TS 27560: each state by its name, each proof with what it lacks."""

from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from domain.consent import ConsentChange, ConsentStatus, proof_hash
from domain.consent_export import ConsentExports, export
from domain.consent_records import PROOF, ConsentRecord
from domain.consent_report import report
from domain.purposes import FACTS
from domain.values import Channel, Purpose, Reason
from tests.builders import NOON

DAY = timedelta(days=1)
SCHEMA = Draft202012Validator(ConsentExports.model_json_schema(mode="serialization"))


def a_record(status="given", number=1, at=NOON - DAY, **fields):
    given = {
        "record_id": number, "purpose": "marketing", "channel": "*", "status": status, "legal_basis": "consent",
        "effective_at": at, "expires_at": None, "source": "form", "actor": "key:a", "text_version": "v3",
        "address_hash": "ab", "proof": {"form": 7}, "recorded_at": at,
    }  # fmt: skip
    return ConsentRecord.model_validate(given | fields)


def exported(*records):
    found = export(records, recipient_id="r", tenant="shop", tenant_name="The Shop", now=NOON)
    SCHEMA.validate(found.model_dump(mode="json"))
    return found.records


@pytest.mark.parametrize("status", ConsentStatus)
def test_every_status_is_exported_under_its_own_name(status):
    (record,) = exported(a_record(status))
    assert (record.state, record.events[0].event_state) == (status, status)


@pytest.mark.parametrize(("said", "kept"), [("pending", ConsentStatus.REQUESTED), ("granted", ConsentStatus.GIVEN)])
def test_other_words_for_a_status_count_as_ours(said, kept):
    assert ConsentChange(purpose="marketing", status=said, source="s").status is kept
    with pytest.raises(ValidationError):
        ConsentChange(purpose="marketing", status="allowed", source="s")


def test_a_record_names_purpose_basis_parties_and_proof():
    (record,) = exported(a_record())
    (purpose,) = record.pii_processing.purposes
    assert (purpose.purpose, purpose.lawful_basis, record.pii_processing.privacy_notice) == (
        "marketing", "consent", "v3",
    )  # fmt: skip
    assert purpose.pii_information == FACTS[Purpose.MARKETING].categories
    assert [(each.party_role, each.party_id) for each in record.party_identification] == [
        ("pii_principal", "r"), ("pii_controller", "shop"),
    ]  # fmt: skip
    (event,) = record.events
    assert (event.entity_id, event.event_time, event.proof.source) == ("key:a", NOON - DAY, "form")
    assert (event.proof.address_hash, event.proof.evidence, event.proof.missing) == ("ab", {"form": 7}, ())


@pytest.mark.parametrize("part", ["text_version", "address_hash"])
def test_what_a_proof_lacks_is_named(part):
    (record,) = exported(a_record(**{part: None}))
    assert record.events[0].proof.missing == (part,)
    assert part in PROOF


def test_a_consent_that_has_ended_is_exported_as_expired_with_the_moment_it_ended():
    (record,) = exported(a_record(expires_at=NOON))
    assert [each.event_type for each in record.events] == ["recorded", "lapsed"]
    assert (record.state, record.events[1].event_time) == (ConsentStatus.EXPIRED, NOON)
    assert record.events[0].validity_duration == DAY
    (lasting,) = exported(a_record(expires_at=NOON + DAY))
    assert (lasting.state, len(lasting.events)) == (ConsentStatus.GIVEN, 1)


def test_the_state_is_the_one_decisions_would_use_in_whatever_order_records_come():
    withdrawn, given = a_record("withdrawn", 1, NOON - DAY), a_record("given", 2, NOON - DAY)
    for order in ((withdrawn, given), (given, withdrawn)):
        (record,) = exported(*order)
        assert record.state is ConsentStatus.WITHDRAWN
        assert [each.record_id for each in record.events] == [1, 2]


def test_each_purpose_and_channel_is_a_record_of_its_own():
    records = exported(a_record(), a_record(number=2, channel="email"), a_record(number=3, purpose="analytics"))
    assert len({record.record_id for record in records}) == 3


def test_the_hash_of_an_address_is_keyed_and_does_not_mind_capitals():
    assert proof_hash(b"k", "A@example.org ") == proof_hash(b"k", "a@example.org")
    assert proof_hash(b"k", "a@example.org") != proof_hash(b"l", "a@example.org")


def test_an_address_is_never_in_what_is_dumped():
    change = ConsentChange(purpose="marketing", status="given", source="s", address="192.0.2.7")
    assert "192.0.2.7" not in change.model_dump_json()


def test_a_report_names_every_purpose_and_why_a_channel_is_refused():
    records = [
        a_record(),
        a_record("withdrawn", 2, NOON, channel="sms"),
        a_record(number=3, purpose="analytics", expires_at=NOON),
    ]
    told = {each.purpose: each for each in report([each.state for each in records], records, now=NOON).purposes}
    assert set(told) == set(Purpose)
    marketing = told[Purpose.MARKETING]
    assert Channel.EMAIL in marketing.permitted
    assert marketing.refused == {Channel.SMS: Reason.CONSENT_WITHDRAWN}
    assert told[Purpose.ANALYTICS].standing[0].status is ConsentStatus.EXPIRED
    assert told[Purpose.ANALYTICS].refused[Channel.EMAIL] is Reason.CONSENT_EXPIRED
    assert told[Purpose.LOCATION].refused[Channel.EMAIL] is Reason.CONSENT_MISSING
