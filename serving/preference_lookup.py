"""Which preference wins for a message: the question people ask, answered by what decisions use."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import consent, suppression, switches
from domain.decision_request import Message
from domain.gates import Situation, asked
from domain.legal import gate as law
from domain.legal.places import Place
from domain.preference_resolution import Resolved, resolve
from domain.tenants import Tenant
from domain.values import Channel, MessageClass, Purpose, Reason
from serving.decide import Decider
from serving.parts import Parts


@dataclass(frozen=True)
class Question:
    """A message type, a channel and a moment."""

    message_type: str
    channel: Channel
    at: datetime


def resolved(parts: Parts, tenant: Tenant, recipient_id: str, question: Question, *, actor: str) -> Resolved:
    """Return what holds for one recipient; reading it is audited.

    Raises:
        UnknownType: the tenant has published no message type of this name.
    """
    found = resolved_many(parts.decider, tenant, [recipient_id], question)
    parts.preferences.note_reading(tenant, recipient_id, actor=actor)
    return found[recipient_id]


def resolved_many(
    decider: Decider, tenant: Tenant, recipient_ids: Sequence[str], question: Question
) -> dict[str, Resolved]:
    """Return what holds for each of many recipients, read at once; who shows it to somebody has that audited.

    Raises:
        UnknownType: the tenant has published no message type of this name.
    """
    message, laws = Message(type=question.message_type), _Laws(question.channel)
    found: dict[str, Resolved] = {}
    for start in range(0, len(recipient_ids), _AT_A_TIME):
        some = recipient_ids[start : start + _AT_A_TIME]
        situations = decider.situations.by_recipient(tenant, some, question.message_type, now=question.at)
        for recipient, each in situations.items():
            found[recipient] = _resolved(message, each, question.channel, laws)
    return found


_AT_A_TIME = 2_000
"""Recipients whose situations are held at once: what a few thousand hold is cheap to keep, and to collect."""


class _Laws:
    """What the law says about one message, worked out once for all who may be in the same places."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._known: dict[Place, Reason | None] = {}

    def refusal(self, situation: Situation) -> Reason | None:
        place = situation.law.place
        if place not in self._known:
            message_class = situation.definition.message_class
            self._known[place] = law.refusal(
                situation.law, message_class=message_class, channel=self._channel, now=situation.now
            )
        return self._known[place]


def resolved_in(situation: Situation, channel: Channel) -> Resolved:
    """Return what holds in a situation that was read before, or made up from one."""
    return _resolved(Message(type=situation.definition.type), situation, channel, _Laws(channel))


def _resolved(message: Message, situation: Situation, channel: Channel, laws: _Laws) -> Resolved:
    allowed, message_class = situation.allowances, situation.definition.message_class
    stack = allowed.choices.stack(
        law=_forbidden(situation, channel, laws),
        suppression=suppression.refusal(allowed.suppressions, channel=channel, message_class=message_class),
        switch=switches.refusal(allowed.switches, channel=channel),
    )
    return resolve(stack, asked(message, situation, channel))


def _forbidden(situation: Situation, channel: Channel, laws: _Laws) -> Reason | None:
    """Return why the law forbids the message: a rule about it, the recipient's deletion, or no consent to marketing."""
    allowed, message_class, now = situation.allowances, situation.definition.message_class, situation.now
    if allowed.is_deleted:
        return Reason.RECIPIENT_DELETED
    found = laws.refusal(situation)
    if found is None and message_class is MessageClass.MARKETING:
        return consent.refusal(allowed.consents, purpose=Purpose.MARKETING, channel=channel, now=now)
    return found
