"""The gates: which class passes which, in which order, and that a request can only close more of them."""

from datetime import timedelta

import pytest

from domain.consent import ConsentStatus
from domain.gates import screen
from domain.profiles import Profile, Reachability
from domain.suppression import Suppression, SuppressionCause
from domain.switches import ChannelSwitch
from domain.values import Channel, Reason
from tests.builders import NOON, a_consent, a_request, a_situation, a_type

NIGHT = NOON + timedelta(hours=12)
EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
MARKETING, SERVICE, TRANSACTIONAL = "marketing", "service", "transactional"


def reasons(request=None, **fields) -> dict[Channel, Reason]:
    return {each.channel: each.reason for each in screen(request or a_request(), a_situation(**fields)).refusals}


def a_suppression(cause, channel=EMAIL) -> Suppression:
    return Suppression(channel=channel, cause=cause, since=NOON)


CLOSED = {
    "expiry.passed": {"request": a_request(message={"expires_at": NOON.isoformat()})},
    "recipient.deleted": {"allowances": {"is_deleted": True}},
    "suppression.bounced": {"allowances": {"suppressions": (a_suppression(SuppressionCause.BOUNCED),)}},
    "suppression.complained": {"allowances": {"suppressions": (a_suppression(SuppressionCause.COMPLAINED),)}},
    "consent.missing": {"allowances": {"consents": ()}},
    "consent.withdrawn": {"allowances": {"consents": (a_consent(ConsentStatus.WITHDRAWN),)}},
    "channel.switched_off": {"allowances": {"switches": (ChannelSwitch(channel=EMAIL, is_on=False),)}},
    "channel.unreachable": {"profile": Profile(channels={EMAIL: Reachability(reachable=False)})},
    "quiet_hours.now": {"now": NIGHT},
}
STOPS = {
    MARKETING: set(CLOSED),
    SERVICE: set(CLOSED) - {"suppression.complained", "consent.missing", "consent.withdrawn"},
    TRANSACTIONAL: {"expiry.passed", "recipient.deleted", "suppression.bounced", "channel.unreachable"},
}


@pytest.mark.parametrize("gate", CLOSED)
@pytest.mark.parametrize("message_class", STOPS)
def test_each_class_passes_its_own_gates(gate, message_class):
    found = reasons(**CLOSED[gate], definition=a_type(**{"class": message_class}))
    assert found.get(EMAIL) == (gate if gate in STOPS[message_class] else None)


@pytest.mark.parametrize("gate", CLOSED)
def test_an_emergency_passes_quiet_hours_and_switches_and_nothing_else(gate):
    found = reasons(**CLOSED[gate], definition=a_type(**{"class": MARKETING, "is_emergency": True}))
    assert found.get(EMAIL) == (None if gate in {"quiet_hours.now", "channel.switched_off"} else gate)


def test_the_more_binding_gate_names_the_reason():
    everything = {
        "allowances": {
            "is_deleted": True,
            "consents": (),
            "suppressions": (a_suppression(SuppressionCause.BOUNCED, "*"),),
            "switches": (ChannelSwitch(channel="*", is_on=False),),
        },
        "profile": Profile(channels={EMAIL: Reachability(reachable=False)}),
        "now": NIGHT,
    }
    order = [Reason.RECIPIENT_DELETED, Reason.SUPPRESSION_BOUNCED, Reason.CONSENT_MISSING]
    order += [Reason.CHANNEL_SWITCHED_OFF, Reason.CHANNEL_UNREACHABLE, Reason.QUIET_HOURS_NOW]
    openings = [("is_deleted", False), ("suppressions", ()), ("consents", (a_consent(),)), ("switches", ())]
    for place, reason in enumerate(order):
        fields = everything | {"allowances": everything["allowances"] | dict(openings[:place])}
        fields["profile"] = None if place >= 5 else fields["profile"]
        assert reasons(**fields)[EMAIL] is reason
    expired = a_request(message={"expires_at": NIGHT.isoformat()})
    assert reasons(expired, **everything)[EMAIL] is Reason.EXPIRY_PASSED


def test_one_channel_refused_leaves_the_others():
    screened = screen(a_request(), a_situation(allowances={"switches": (ChannelSwitch(channel=EMAIL, is_on=False),)}))
    assert screened.permitted == (PUSH,)


def test_a_switch_for_every_channel_beats_one_for_this_channel():
    switches = (ChannelSwitch(channel="*", is_on=False), ChannelSwitch(channel=EMAIL, is_on=True))
    assert reasons(allowances={"switches": switches})[EMAIL] is Reason.CHANNEL_SWITCHED_OFF


def test_a_request_only_narrows():
    found = screen(a_request(channels=["sms", "push"]), a_situation())
    assert found.permitted == (PUSH,)
    assert {each.channel: each.reason for each in found.refusals} == {
        EMAIL: Reason.CHANNEL_NOT_ASKED,
        Channel.SMS: Reason.CHANNEL_NOT_OFFERED,
    }


@pytest.mark.parametrize("urgency", ["immediate", "flexible"])
def test_priority_and_urgency_open_nothing(urgency):
    request = a_request(message={"priority": "urgent", "urgency": urgency})
    for fields in CLOSED.values():
        if "request" not in fields:
            assert reasons(request, **fields) == reasons(**fields)
