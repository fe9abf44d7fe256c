"""Channel switches: which channels has the recipient turned off?

A channel is on until it is switched off; off for every channel beats on for one, for the denial wins.
"""

from collections.abc import Iterable

from domain.consent import ChannelScope
from domain.values import ANY_CHANNEL, Channel, Frozen, Reason


class ChannelSwitch(Frozen):
    """One recipient's switch for one channel, or for all of them."""

    channel: ChannelScope
    is_on: bool


def refusal(switches: Iterable[ChannelSwitch], *, channel: Channel) -> Reason | None:
    """Return why the channel may not be used, or None when it is on."""
    is_off = any(not switch.is_on and switch.channel in (channel, ANY_CHANNEL) for switch in switches)
    return Reason.CHANNEL_SWITCHED_OFF if is_off else None
