"""Suppression: has this channel to the recipient proven dead, or did the recipient complain about it?

A hard bounce ends every message on the channel; a complaint ends marketing. Nothing but an operator lifts either.
"""

from collections.abc import Iterable
from enum import StrEnum

from domain.consent import ChannelScope
from domain.values import ANY_CHANNEL, Channel, Frozen, MessageClass, Moment, Reason


class SuppressionCause(StrEnum):
    """What put the channel on the list."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"


class Suppression(Frozen):
    """One entry of the suppression list."""

    channel: ChannelScope
    cause: SuppressionCause
    since: Moment


def refusal(entries: Iterable[Suppression], *, channel: Channel, message_class: MessageClass) -> Reason | None:
    """Return why the channel is suppressed for this class of message, or None when it is not.

    A bounce is named before a complaint: it holds for every class.
    """
    causes = {entry.cause for entry in entries if entry.channel in (channel, ANY_CHANNEL)}
    if SuppressionCause.BOUNCED in causes:
        return Reason.SUPPRESSION_BOUNCED
    if SuppressionCause.COMPLAINED in causes and message_class is MessageClass.MARKETING:
        return Reason.SUPPRESSION_COMPLAINED
    return None
