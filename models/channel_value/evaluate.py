"""Whether shrunk answers tell later ones better than everybody's rate does."""

import numpy as np

from models.channel_value.score import Floats


def skill(chance: Floats, base: Floats, answered: Floats, sent: Floats) -> float:
    """Return 1 - log-loss / log-loss of the base rate, on later messages; above 0 is better than the base rate.

    Args:
        chance: of an answer, in (0, 1), shape (n, C).
        base: everybody's, in (0, 1), shape (C,).
        answered: later messages that were, shape (n, C).
        sent: later messages, shape (n, C).

    Raises:
        ValueError: no message was sent.
    """
    if not sent.sum() > 0:
        raise ValueError("sent: expected at least one message")
    return 1 - _loss(chance, answered, sent) / _loss(np.broadcast_to(base, chance.shape), answered, sent)


def _loss(chance: Floats, answered: Floats, sent: Floats) -> float:
    return -float((answered * np.log(chance) + (sent - answered) * np.log1p(-chance)).sum())
