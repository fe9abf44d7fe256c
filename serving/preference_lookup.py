"""Which preference wins for a message: the question people ask, answered by what decisions use."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import consent, suppression, switches
from domain.decision_request import DecisionRequest, Message
from domain.gates import Situation, asked
from domain.legal import gate as law
from domain.preference_resolution import Resolved, Stack, resolve
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
    situations = decider.situations(tenant, recipient_ids, question.message_type, now=question.at)
    message = Message(type=question.message_type)
    return {
        recipient: _resolved(DecisionRequest(recipient_id=recipient, message=message), situation, question.channel)
        for recipient, situation in situations.items()
    }


def _resolved(request: DecisionRequest, situation: Situation, channel: Channel) -> Resolved:
    allowed, message_class = situation.allowances, situation.definition.message_class
    stack = Stack(
        preferences=allowed.choices.preferences,
        defaults=allowed.choices.defaults,
        law=_forbidden(situation, channel),
        suppression=suppression.refusal(allowed.suppressions, channel=channel, message_class=message_class),
        switch=switches.refusal(allowed.switches, channel=channel),
    )
    return resolve(stack, asked(request, situation, channel))


def _forbidden(situation: Situation, channel: Channel) -> Reason | None:
    """Return why the law forbids the message: a rule about it, the recipient's deletion, or no consent to marketing."""
    allowed, message_class, now = situation.allowances, situation.definition.message_class, situation.now
    if allowed.is_deleted:
        return Reason.RECIPIENT_DELETED
    found = law.refusal(situation.law, message_class=message_class, channel=channel, now=now)
    if found is None and message_class is MessageClass.MARKETING:
        return consent.refusal(allowed.consents, purpose=Purpose.MARKETING, channel=channel, now=now)
    return found
