"""How well profiles tell the hours of later sessions, beside one histogram for everybody."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.send_time.spec import HOURS_OF_WEEK, Floats

FEWEST_PEOPLE = 30
"""With later sessions, for an interval."""
REPETITIONS = 1000
_PRIOR = 1.0


@dataclass(frozen=True)
class Gain:
    """Log-likelihood a session gains over the histogram of everybody's earlier sessions.

    Attributes:
        nats: per session.
        low: lower end of the 95 % interval by bootstrap over people; None with too few of them.
        high: its upper end.
        sessions: judged.
        people: with a session that was judged.
    """

    nats: float
    low: float | None
    high: float | None
    sessions: float
    people: int


def gain(log_rates: Floats, later: Floats, earlier: Floats, *, seed: int) -> Gain:
    """Return what profiles gain on later sessions.

    Args:
        log_rates: log of each person's activity, rows of mean 1, shape (n, 168).
        later: sessions after those the profiles were made from, shape (n, 168).
        earlier: sessions they were made from; the histogram is theirs, shape (n, 168).
        seed: of the bootstrap.

    Raises:
        ValueError: there is no later session.
    """
    total = later.sum(axis=1)
    if total.sum() <= 0:
        raise ValueError("later: expected at least one session")
    everybody = earlier.sum(axis=0) + _PRIOR
    histogram = np.log(HOURS_OF_WEEK * everybody / everybody.sum())
    gained = (later * (log_rates - histogram)).sum(axis=1)
    judged = total > 0
    value = float(gained.sum() / total.sum())
    low, high = _interval(gained[judged], total[judged], seed)
    return Gain(value, low, high, float(total.sum()), int(judged.sum()))


def _interval(gained: Floats, total: Floats, seed: int) -> tuple[float | None, float | None]:
    if len(total) < FEWEST_PEOPLE:
        return None, None
    rng = np.random.default_rng(seed)
    rows: npt.NDArray[np.int64] = rng.integers(0, len(total), (REPETITIONS, len(total)))
    found = gained[rows].sum(axis=1) / total[rows].sum(axis=1)
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))
