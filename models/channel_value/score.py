"""Answers by recipient and channel shrunk towards everybody's, the value of a channel, the order to try channels in."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.channel_value.spec import HORIZON_DAYS, PRIOR_STRENGTH, VALUE_HALF_LIFE_DAYS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rates:
    """What everybody does on C channels.

    Attributes:
        rate: share of messages that are answered, in (0, 1), shape (C,).
        strength: messages that the rate counts for, shape (C,).
        fitted: whether the strength was; else it is the prior's, for want of recipients, shape (C,).
    """

    rate: Floats
    strength: Floats
    fitted: tuple[bool, ...]


def shrunk(answered: Floats, sent: Floats, rate: Floats, strength: Floats | float = PRIOR_STRENGTH) -> Floats:
    """Return the chance of an answer, (o + k p) / (n + k): the mean of a Beta posterior, shape (n, C).

    Args:
        answered: decayed messages that were, shape (n, C), at most ``sent``.
        sent: decayed messages, shape (n, C), at least 0.
        rate: of everybody, or of the segment, in (0, 1); broadcasts over (n, C).
        strength: messages that the rate counts for, above 0; broadcasts.

    Raises:
        ValueError: counts that cannot be, a rate outside (0, 1) or a strength that is not above 0.
    """
    if not ((answered >= 0).all() and (answered <= sent).all()):
        raise ValueError("answered: expected 0 to as many as were sent")
    if not ((np.asarray(rate) > 0).all() and (np.asarray(rate) < 1).all()):
        raise ValueError("rate: expected between 0 and 1, neither of them")
    if not (np.asarray(strength) > 0).all():
        raise ValueError("strength: expected above 0")
    return np.asarray((answered + strength * np.asarray(rate)) / (sent + strength))


def running_value(before: Floats, today: Floats, *, days: float = 1.0) -> Floats:
    """Return the running mean of the daily value of a channel after another ``days``, the same shape."""
    keep = 2.0 ** (-days / VALUE_HALF_LIFE_DAYS)
    return np.asarray(keep * before + (1 - keep) * today)


def loss(daily_value: Floats) -> Floats:
    """Return what losing a channel costs: 50 days of its daily value, at least 0, in the value's unit."""
    return np.asarray(np.maximum(daily_value, 0.0) * HORIZON_DAYS)


def try_order(chance: Floats, value: float, cost: Floats) -> Integers:
    """Return in which order channels are tried until one is answered, best first, shape (n, C).

    Weitzman's index of a box that holds ``value`` with ``chance`` and costs ``cost`` to open is
    (chance value - cost) / chance. Channels of equal index come in their given order.

    Args:
        chance: of an answer, in (0, 1], shape (n, C).
        value: of an answer.
        cost: of a try, shape (C,) or (n, C).
    """
    return np.asarray(np.argsort(-index(chance, value, cost), axis=1, kind="stable"), dtype=np.int64)


def index(chance: Floats, value: float, cost: Floats) -> Floats:
    """Return Weitzman's index, shape (n, C); a channel whose index is below 0 is not worth a try."""
    if not ((chance > 0).all() and (chance <= 1).all()):
        raise ValueError("chance: expected above 0, at most 1")
    return np.asarray((chance * value - cost) / chance)
