"""What a stored event changes besides the log: only ever less permission, in whatever order events arrive."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from adapters.postgres.consent import ConsentStore
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.profiles import Profiles, UnknownRecipient
from adapters.postgres.tables import audit, profile
from domain.consent import ConsentChange, ConsentStatus, refusal
from domain.ingest import parse
from domain.profiles import Profile
from domain.suppression import SuppressionCause
from domain.values import Channel, Purpose, Reason

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def an_event(kind, number=1, at="2026-03-02T03:00:00Z", **changes):
    given = {"source": "esp", "event_id": f"e-{number}", "type": kind, "recipient_id": "r", "occurred_at": at}
    return given | {"channel": "email"} | changes


@pytest.fixture
def append(db, tenant):
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))

    def store(*events):
        items = [parse(event, position) for position, event in enumerate(events)]
        return [answer.verdict for answer in log.append(tenant, items, origin="api", received_at=NOW, now=NOW)]

    return store


@pytest.fixture
def allowed(db, tenant):
    return lambda: ConsentStore(db).allowances(tenant, "r")


def test_an_unsubscribe_withdraws_marketing_on_its_channel_and_no_other(append, allowed, db, tenant):
    grant = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="form")
    ConsentStore(db).record(tenant, "r", [grant], actor="test", now=NOW - timedelta(days=9))
    assert append(an_event("unsubscribed")) == ["stored"]
    states = allowed().consents
    assert refusal(states, purpose=Purpose.MARKETING, channel=Channel.EMAIL, now=NOW) is Reason.CONSENT_WITHDRAWN
    assert refusal(states, purpose=Purpose.MARKETING, channel=Channel.PUSH, now=NOW) is None


def test_the_proof_of_a_withdrawal_is_the_event(append, db, tenant):
    append(an_event("unsubscribed"))
    _, [record] = ConsentStore(db).disclose(tenant, "r", actor="test")
    assert record["proof"] == {"event_source": "esp", "event_id": "e-1"}
    assert (record["actor"], record["effective_at"]) == ("event", datetime(2026, 3, 2, 3, tzinfo=UTC))


def test_a_repeated_event_has_its_effect_once(append, allowed):
    append(an_event("unsubscribed"))
    before = allowed()
    assert append(an_event("unsubscribed"), an_event("unsubscribed")) == ["duplicate", "duplicate"]
    assert allowed() == before


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (an_event("bounced", properties={"bounce_type": "hard"}), SuppressionCause.BOUNCED),
        (an_event("bounced", properties={"bounce_type": "soft"}), None),
        (an_event("bounced"), None),
        (an_event("complained"), SuppressionCause.COMPLAINED),
        (an_event("opened"), None),
    ],
)
def test_hard_bounces_and_complaints_suppress_the_channel(append, allowed, event, cause):
    append(event)
    assert [(entry.channel, entry.cause) for entry in allowed().suppressions] == ([("email", cause)] if cause else [])


def test_the_suppression_list_comes_out_the_same_in_every_order(append, allowed, db, tenant):
    told = [
        ("complained", "2026-03-01T01:00:00Z", {}),
        ("bounced", "2026-03-01T03:00:00Z", {"bounce_type": "hard"}),
        ("bounced", "2026-03-01T02:00:00Z", {"bounce_type": "hard"}),
    ]
    for order, events in enumerate(itertools.permutations(told)):
        for number, (kind, at, properties) in enumerate(events):
            append(an_event(kind, f"{order}-{number}", at, recipient_id=f"r-{order}", properties=properties))
    store = ConsentStore(db)
    outcomes = {store.allowances(tenant, f"r-{order}").suppressions for order in range(6)}
    assert [[(entry.cause, entry.since.hour) for entry in entries] for entries in outcomes] == [[("bounced", 2)]]


def test_a_deleted_recipient_has_an_empty_profile_that_says_so_and_an_audit_row(append, allowed, db, tenant):
    Profiles(db).put(tenant, "r", Profile(locale="fr", attributes={"vip": True}), actor="test")
    append(an_event("recipient_deleted", channel=None))
    assert allowed().is_deleted
    with pytest.raises(UnknownRecipient):
        Profiles(db).get(tenant, "r", actor="test")
    with db.tenant(tenant.tenant) as connection:
        [row] = connection.execute(select(profile)).all()
        actions = set(connection.execute(select(audit.c.action).where(audit.c.actor == "event")).scalars())
    assert (row.time_zone, row.document, row.unsealed, row.version) == (None, None, None, 2)
    assert actions == {"profile.deleted", "erasure.requested"}


def test_a_recipient_nobody_knew_can_be_deleted_too(append, allowed):
    append(an_event("recipient_deleted", channel=None))
    assert allowed().is_deleted


def test_every_effect_moves_the_version_a_decision_locks(append, allowed):
    versions = [allowed().version]
    for number, kind in enumerate(("unsubscribed", "complained", "recipient_deleted")):
        append(an_event(kind, number))
        versions.append(allowed().version)
    assert versions == sorted(set(versions))
