"""Page's CUSUM of predicted and seen outcomes: two sums of log-likelihood ratios, one for more, one for fewer.

    S <- max(0, S + y log(q / p) + (1 - y) log((1 - q) / (1 - p))),    odds of q = odds of p times 1.6, or over 1.6

The sums are all the state there is, so outcomes may come one at a time or thousands at once.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.drift.spec import ODDS_RATIO, THRESHOLD

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Watch:
    """What is known so far.

    Attributes:
        more: sum of evidence that outcomes have become more frequent than predicted, at least 0.
        fewer: the same for less frequent.
        seen: outcomes so far.
        alarm: which outcome, from 1, sounded the alarm first; None while it is silent. It stays until a new watch.
        direction: ``more`` or ``fewer``; None while it is silent.
    """

    more: float = 0.0
    fewer: float = 0.0
    seen: int = 0
    alarm: int | None = None
    direction: str | None = None

    def after(self, predicted: Floats, outcome: Floats, *, threshold: float = THRESHOLD) -> "Watch":
        """Return the watch after outcomes in the order in which they came.

        Args:
            predicted: calibrated chances, in (0, 1), shape (n,).
            outcome: 0 or 1, shape (n,).
            threshold: at which the alarm sounds, above 0.

        Raises:
            ValueError: names what is out of range and what was expected.
        """
        if not ((predicted > 0) & (predicted < 1)).all():
            raise ValueError("predicted: expected between 0 and 1, neither of them")
        if not np.isin(outcome, (0, 1)).all() or len(outcome) != len(predicted):
            raise ValueError("outcome: expected 0 or 1, one for each prediction")
        if len(outcome) == 0:
            return self
        sums = {
            "more": _path(self.more, _evidence(predicted, outcome, ODDS_RATIO)),
            "fewer": _path(self.fewer, _evidence(predicted, outcome, 1 / ODDS_RATIO)),
        }
        now = replace(self, more=float(sums["more"][-1]), fewer=float(sums["fewer"][-1]), seen=self.seen + len(outcome))
        first = {name: int(np.argmax(path >= threshold)) for name, path in sums.items() if (path >= threshold).any()}
        if self.alarm is not None or not first:
            return now
        direction = min(first, key=lambda name: first[name])
        return replace(now, alarm=self.seen + first[direction] + 1, direction=direction)


def _evidence(predicted: Floats, outcome: Floats, ratio: float) -> Floats:
    odds = ratio * predicted / (1 - predicted)
    shifted = odds / (1 + odds)
    return np.asarray(np.where(outcome > 0, np.log(shifted / predicted), np.log((1 - shifted) / (1 - predicted))))


def _path(start: float, steps: Floats) -> Floats:
    """Return S after each step: the walk above its own lowest point so far, the start counted."""
    walk = start + np.cumsum(steps)
    return np.asarray(walk - np.minimum(np.minimum.accumulate(walk), 0.0))
