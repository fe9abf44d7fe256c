"""The Qini coefficient: how much better than chance a ranking finds those whom the treatment changes.

Q(k) = responses of the treated among the first k - responses of the controls among them, scaled to as many treated.
The coefficient is the area between Q and the straight line of a random order, as a share of the perfect order's area.
"""

import numpy as np

from models.off_policy.intervals import Interval
from models.off_policy.log import Booleans, Floats, Integers

REPETITIONS = 400
"""Of the bootstrap over recipients, and of the shuffles."""


def qini(score: Floats, reward: Floats, treated: Booleans, weight: Floats | None = None) -> float:
    """Return the coefficient; 0 is chance, 1 is perfect, nan where nobody responded.

    Args:
        score: the larger, the earlier; shape (n,). Rows of one score enter together.
        reward: shape (n,), >= 0.
        treated: shape (n,).
        weight: how often each row counts, shape (n,), >= 0; once where None.
    """
    counts = np.ones(len(reward)) if weight is None else weight
    ideal = np.where(treated, reward, -reward)
    actual_x, actual_y = _curve(score, reward, treated, counts)
    perfect_x, perfect_y = _curve(ideal, reward, treated, counts)
    chance = 0.5 * perfect_x[-1] * perfect_y[-1]
    room = float(np.trapezoid(perfect_y, perfect_x)) - chance
    return (float(np.trapezoid(actual_y, actual_x)) - chance) / room if room > 0 else float("nan")


def bootstrap(
    score: Floats, reward: Floats, treated: Booleans, cluster: Integers, weight: Floats, *, seed: int
) -> Interval:
    """Return the coefficient with a 95 % interval: normal, its deviation over recipients drawn with replacement."""
    value = qini(score, reward, treated, weight)
    rng = np.random.default_rng(seed)
    place = np.unique(cluster, return_inverse=True)[1]
    units = int(place.max()) + 1
    drawn = [
        qini(score, reward, treated, weight * rng.multinomial(units, np.full(units, 1 / units))[place])
        for _ in range(REPETITIONS)
    ]
    finite = np.asarray(drawn)[np.isfinite(drawn)]
    if len(finite) < REPETITIONS // 2 or not np.isfinite(value):
        return Interval(value, None, None)
    deviation = float(finite.std(ddof=1))
    return Interval(value, value - 1.96 * deviation, value + 1.96 * deviation)


def by_chance(
    score: Floats, reward: Floats, treated: Booleans, weight: Floats, *, seed: int, share: float = 0.99
) -> float:
    """Return the coefficient that a share of all random orders with these scores stay below."""
    rng = np.random.default_rng(seed)
    found = [qini(rng.permutation(score), reward, treated, weight) for _ in range(REPETITIONS)]
    return float(np.nanquantile(found, share))


def _curve(order: Floats, reward: Floats, treated: Booleans, counts: Floats) -> tuple[Floats, Floats]:
    by = np.argsort(-order, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(order[by]) != 0, True))
    weighted, taken = counts[by], treated[by]
    in_treated = np.cumsum(weighted * taken)[ends]
    in_control = np.cumsum(weighted * ~taken)[ends]
    of_treated = np.cumsum(weighted * taken * reward[by])[ends]
    of_control = np.cumsum(weighted * ~taken * reward[by])[ends]
    ratio = np.divide(in_treated, in_control, out=np.zeros_like(in_treated), where=in_control > 0)
    x = np.concatenate([[0.0], in_treated + in_control])
    y = np.concatenate([[0.0], of_treated - of_control * ratio])
    return x, y
