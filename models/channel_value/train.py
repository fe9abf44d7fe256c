"""How much everybody's answers count beside a recipient's own, by channel: the beta-binomial's marginal likelihood."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import betaln

from models.channel_value.score import Floats, Rates
from models.channel_value.spec import FEWEST_RECIPIENTS, PRIOR_STRENGTH, STRENGTHS

_PRIOR_SENT = 50.0


def fit(answered: Floats, sent: Floats, prior_rate: Floats) -> Rates:
    """Return rates and strengths; a channel that hardly anybody was written to on keeps its prior.

    Args:
        answered: decayed messages that were, shape (n, C), at most ``sent``.
        sent: decayed messages, shape (n, C).
        prior_rate: believed before, in (0, 1), shape (C,).
    """
    rate = (answered.sum(axis=0) + _PRIOR_SENT * prior_rate) / (sent.sum(axis=0) + _PRIOR_SENT)
    fitted = tuple(bool(each >= FEWEST_RECIPIENTS) for each in (sent > 0).sum(axis=0))
    strength = np.array(
        [
            _strength(answered[:, place], sent[:, place], rate[place]) if can else PRIOR_STRENGTH
            for place, can in enumerate(fitted)
        ]
    )
    return Rates(rate, strength, fitted)


def _strength(answered: Floats, sent: Floats, rate: float) -> float:
    known = sent > 0
    yes, no = answered[known], (sent - answered)[known]

    def cost(log_strength: float) -> float:
        strength = np.exp(log_strength)
        a, b = rate * strength, (1 - rate) * strength
        return -float((betaln(a + yes, b + no) - betaln(a, b)).sum())

    low, high = np.log(STRENGTHS)
    return float(np.exp(minimize_scalar(cost, bounds=(low, high), method="bounded").x))
