"""Which preference wins for a message: the question people ask, answered by what decisions use."""

from dataclasses import dataclass
from datetime import datetime

from domain import suppression
from domain.decision_request import DecisionRequest, Message
from domain.gates import asked
from domain.legal import gate as law
from domain.preference_resolution import Resolved, Stack, resolve
from domain.tenants import Tenant
from domain.values import Channel, Reason
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
    situation = parts.decider.situation(tenant, recipient_id, question.message_type, now=question.at)
    parts.preferences.note_reading(tenant, recipient_id, actor=actor)
    allowed, message_class = situation.allowances, situation.definition.message_class
    forbidden = law.refusal(situation.law, message_class=message_class, channel=question.channel, now=question.at)
    stack = Stack(
        preferences=allowed.choices.preferences,
        defaults=allowed.choices.defaults,
        law=Reason.RECIPIENT_DELETED if allowed.is_deleted else forbidden,
        suppression=suppression.refusal(allowed.suppressions, channel=question.channel, message_class=message_class),
    )
    request = DecisionRequest(recipient_id=recipient_id, message=Message(type=question.message_type))
    return resolve(stack, asked(request, situation, question.channel))
