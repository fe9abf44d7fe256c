"""Pauses: an operator stops a tenant, or one of its channels, until somebody lifts it; no class of message passes."""

from collections.abc import Collection

from pydantic import Field

from domain.consent import ChannelScope, Text
from domain.values import ANY_CHANNEL, Channel, Frozen, Moment, Reason


class Pause(Frozen):
    """A pause in force."""

    channel: ChannelScope = Field(description="`*` is the whole tenant.")
    reason: Text
    actor: str = Field(description="Who paused it.")
    since: Moment


def refusal(paused: Collection[str], *, channel: Channel) -> Reason | None:
    """Return why nothing is sent on a channel now, or None.

    Args:
        paused: the channels that are paused, ``*`` for all of them.
        channel: the one a message would take.
    """
    if ANY_CHANNEL in paused:
        return Reason.PAUSE_TENANT
    return Reason.PAUSE_CHANNEL if channel in paused else None
