"""The columns of the view ``recipient_habits``, for whoever makes or reads a row; nothing here loads Feast.

What stands on opens is apart, so that it can be left out when the row is read.
"""

from domain.values import Channel

VIEW = "recipient_habits"
TABLE = "core_recipient_habits"
AS_OF = "habits_as_of"
HOURS, HOURS_OF_OPENS = "habit_hours", "habit_hours_of_opens"


def answered(channel: Channel) -> str:
    """Return the column of decayed messages on a channel that were answered."""
    return f"habit_answered_{channel.value}"


def sent(channel: Channel) -> str:
    """Return the column of decayed messages on a channel."""
    return f"habit_sent_{channel.value}"


def of_opens() -> frozenset[str]:
    """Return the columns that are made from opens, usable only where tracking them is allowed."""
    counts = (column for channel in Channel for column in (answered(channel), sent(channel)))
    return frozenset({HOURS_OF_OPENS, *counts})


def columns() -> tuple[str, ...]:
    """Return the columns of the view, in order."""
    return (AS_OF, HOURS, HOURS_OF_OPENS, *(make(channel) for channel in Channel for make in (answered, sent)))
