"""Weekly utility by level of volume, its concave envelope, and the levels a total volume buys at one price.

    U(k) = [1 - p_out(k)] A_sub(k) + p_out(k) A_unsub

Steps of the envelope fall, so giving each person every step worth more than one price is the optimum of the relaxed
problem, and one step more or less at the price itself is all that separates it from the integer one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def utility(p_out: Floats, subscribed: Floats, unsubscribed: Floats) -> Floats:
    """Return the utility of each level, shape (n, K + 1).

    Args:
        p_out: chance of leaving in the week at each level, in [0, 1], shape (n, K + 1).
        subscribed: what is gained while subscribed, by level, the same shape.
        unsubscribed: what is gained from who left, shape (n,).

    Raises:
        ValueError: ``p_out`` is outside [0, 1].
    """
    if not ((p_out >= 0).all() and (p_out <= 1).all()):
        raise ValueError("p_out: expected 0 to 1")
    return np.asarray((1 - p_out) * subscribed + p_out * unsubscribed[:, None])


def envelope(values: Floats) -> Floats:
    """Return the least concave functions above utilities, shape (n, K + 1).

    The value at k is the largest chord over it: max over i <= k <= j of the line from (i, U(i)) to (j, U(j)).
    """
    levels = values.shape[1]
    # Levels are read one after the other: a level of everybody lies together.
    values = np.asfortranarray(values)
    made = values.copy(order="F")
    for low in range(levels):
        for high in range(low + 2, levels):
            steepness = (values[:, high] - values[:, low]) / (high - low)
            for between in range(low + 1, high):
                np.maximum(made[:, between], values[:, low] + steepness * (between - low), out=made[:, between])
    return made


@dataclass(frozen=True)
class Volume:
    """Who gets how much.

    Attributes:
        level: messages a week, shape (n,).
        price: value of the last message that was given; 0 where the volume was not used up.
        value: of all levels, by the utilities given.
        bound: no assignment of this volume is worth more.
    """

    level: Integers
    price: float
    value: float
    bound: float


def assigned(values: Floats, total: float) -> Volume:
    """Return the levels that spend at most ``total`` messages a week.

    Args:
        values: utility of each level, shape (n, K + 1), finite; level 0 is no message.
        total: messages a week, at least 0.

    Raises:
        ValueError: a utility is not finite or the total is negative.
    """
    if not np.isfinite(values).all():
        raise ValueError("values: expected finite numbers")
    if not total >= 0:
        raise ValueError("total: expected at least 0")
    concave = envelope(values)
    steps = np.diff(concave, axis=1)
    price = _price(steps, total)
    level = (steps > price).sum(axis=1).astype(np.int64)
    bound = float(np.maximum(steps - price, 0.0).sum() + price * total + values[:, 0].sum())
    touches = values >= concave - 1e-12 * (1 + np.abs(concave))
    level = _rest(values, touches, _on_the_curve(touches, level), total)
    value = float(np.take_along_axis(values, level[:, None], axis=1).sum())
    return Volume(level, price, value, bound)


def _price(steps: Floats, total: float) -> float:
    """Return the lowest price, at least 0, at which the steps worth more fit into the total."""
    wanted = steps[steps > 0]
    place = len(wanted) - int(total) - 1
    return float(np.partition(wanted, place)[place]) if place >= 0 else 0.0


def _on_the_curve(touches: Booleans, level: Integers) -> Integers:
    """Return each level, or the next lower one at which the envelope touches the utility."""
    reached = np.zeros_like(level)
    for one in range(1, touches.shape[1]):
        reached[touches[:, one] & (level >= one)] = one
    return reached


def _rest(values: Floats, touches: Booleans, level: Integers, total: float) -> Integers:
    """Spend what is left on the best next stretches that still fit; who bridges a dent needs it whole."""
    left = int(total - level.sum())
    if left <= 0:
        return level
    following = np.full_like(level, values.shape[1])
    for one in range(values.shape[1] - 1, 0, -1):
        following[touches[:, one] & (level < one)] = one
    who = np.flatnonzero(following < values.shape[1])
    length = following[who] - level[who]
    gained = (values[who, following[who]] - values[who, level[who]]) / length
    made = level.copy()
    for place in np.argsort(-gained, kind="stable"):
        if left <= 0 or gained[place] <= 0:
            break
        if length[place] <= left:
            made[who[place]] = following[who[place]]
            left -= int(length[place])
    return made
