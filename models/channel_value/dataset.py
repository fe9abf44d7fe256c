"""From messages to decayed answers by recipient and channel."""

import numpy as np

from models.channel_value.score import Floats, Integers
from models.channel_value.spec import HALF_LIFE_DAYS


def answered_and_sent(
    recipient: Integers, channel: Integers, age_days: Floats, answered: Floats, *, recipients: int, channels: int
) -> tuple[Floats, Floats]:
    """Return decayed messages that were answered, and all of them, both of shape (recipients, channels).

    Args:
        recipient: of each of m messages, 0 to recipients - 1, shape (m,).
        channel: 0 to channels - 1, shape (m,).
        age_days: since it was sent, at least 0, shape (m,).
        answered: 1 where it was, else 0, shape (m,).
        recipients: how many there are.
        channels: how many there are.

    Raises:
        ValueError: names what is out of range and what was expected.
    """
    rules = {
        f"recipient: expected 0 to {recipients - 1}": (recipient >= 0) & (recipient < recipients),
        f"channel: expected 0 to {channels - 1}": (channel >= 0) & (channel < channels),
        "age_days: expected at least 0": np.isfinite(age_days) & (age_days >= 0),
        "answered: expected 0 or 1": (answered == 0) | (answered == 1),
    }
    for rule, holds in rules.items():
        if not holds.all():
            raise ValueError(rule)
    weight, place = np.exp2(-age_days / HALF_LIFE_DAYS), recipient * channels + channel
    made = (np.bincount(place, each, minlength=recipients * channels) for each in (weight * answered, weight))
    yes, all_of_them = (each.astype(np.float64).reshape(recipients, channels) for each in made)
    return yes, all_of_them
