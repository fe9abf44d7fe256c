"""Suppression: has this channel proven dead, did the recipient complain, or is the address on the list?

A hard bounce and an operator's entry end every message; a complaint, an opt-out, an erasure and an objection end
marketing. Nothing but an operator lifts any of them, what the recipient said by it only after they have said yes again,
and nobody lifts an objection.
"""

from collections.abc import Iterable
from enum import StrEnum

from domain.consent import ChannelScope, ConsentState, ConsentStatus
from domain.values import ANY_CHANNEL, Channel, Frozen, MessageClass, Moment, Purpose, Reason


class SuppressionCause(StrEnum):
    """What put the channel on the list."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    MANUAL = "manual"
    OPTED_OUT = "opted_out"
    ERASED = "erased"
    OBJECTED = "objected"
    OBJECTED_PROFILING = "objected_profiling"

    @property
    def stops_every_class(self) -> bool:
        """True when not only marketing is stopped."""
        return self in (SuppressionCause.BOUNCED, SuppressionCause.MANUAL)

    @property
    def is_recipients_own(self) -> bool:
        """True when the recipient said it, by whatever way."""
        return not self.stops_every_class


class Suppression(Frozen):
    """One entry of the suppression list."""

    channel: ChannelScope
    cause: SuppressionCause
    since: Moment


def may_be_lifted(entry: Suppression, consents: Iterable[ConsentState]) -> bool:
    """Tell whether an operator may lift an entry.

    Args:
        entry: what is to be lifted.
        consents: what the recipient allows now.

    Returns:
        True when the recipient did not say it themselves, or has consented to marketing there after it. An erasure
        is never lifted: nobody is left who could consent.
    """
    if not entry.cause.is_recipients_own:
        return True
    given = (each for each in consents if each.purpose is Purpose.MARKETING and each.status is ConsentStatus.GIVEN)
    fresh = any(each.effective_at > entry.since and each.channel in (entry.channel, ANY_CHANNEL) for each in given)
    return fresh and entry.cause is not SuppressionCause.ERASED


def refusal(entries: Iterable[Suppression], *, channel: Channel, message_class: MessageClass) -> Reason | None:
    """Return why the channel is suppressed for this class of message, or None when it is not.

    A bounce is named before a complaint: it holds for every class.
    """
    causes = {entry.cause for entry in entries if entry.channel in (channel, ANY_CHANNEL)}
    if SuppressionCause.BOUNCED in causes:
        return Reason.SUPPRESSION_BOUNCED
    if SuppressionCause.MANUAL in causes:
        return Reason.SUPPRESSION_LISTED
    if not causes - {SuppressionCause.OBJECTED_PROFILING} or message_class is not MessageClass.MARKETING:
        return None
    if SuppressionCause.OBJECTED in causes:
        return Reason.SUPPRESSION_OBJECTED
    return Reason.SUPPRESSION_COMPLAINED if SuppressionCause.COMPLAINED in causes else Reason.SUPPRESSION_LISTED


def profiling_refusal(entries: Iterable[Suppression]) -> Reason | None:
    """Return why nothing may be concluded about the recipient, or None when they did not object to it."""
    objects = any(entry.cause is SuppressionCause.OBJECTED_PROFILING for entry in entries)
    return Reason.SUPPRESSION_OBJECTED if objects else None
