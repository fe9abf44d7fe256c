"""Attribution: how long after a message what somebody does is credited to it."""

from datetime import timedelta

from domain.message_types import MessageType
from domain.values import Channel

DEFAULT_WINDOWS = {
    Channel.PUSH: timedelta(hours=2),
    Channel.SMS: timedelta(hours=2),
    Channel.IN_APP: timedelta(hours=2),
    Channel.WEB: timedelta(hours=2),
    Channel.EMAIL: timedelta(hours=24),
    Channel.VOICE: timedelta(hours=24),
}
"""How long a conversion is credited to a message whose type says nothing."""


def window(definition: MessageType, channel: Channel) -> timedelta:
    """Return how long a message of a type is credited with what happens after it on a channel."""
    hours = definition.attribution_window_hours
    return timedelta(hours=hours) if hours is not None else DEFAULT_WINDOWS[channel]
