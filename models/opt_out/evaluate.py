"""How well a hazard tells who leaves by later messages, beside the published base rates."""

import numpy as np

from models.opt_out.score import chance
from models.opt_out.train import PRIOR, Hazard
from models.ridge import Floats
from models.send_time.dataset import Integers


def skill(hazard: Hazard, channel: Integers, weariness: Floats, left: Floats) -> float:
    """Return 1 - log-loss / log-loss of the prior; above 0 is better than it, 0 is told of no messages.

    Args:
        hazard: fitted on earlier messages.
        channel: of each message, index into ``spec.CHANNELS``, shape (m,).
        weariness: of its recipient when it was sent, at least 0, shape (m,).
        left: 1 where the message made the recipient leave, shape (m,).
    """
    ours, theirs = (_loss(chance(channel, weariness, each), left) for each in (hazard, PRIOR))
    return 1 - ours / theirs if theirs > 0 else 0.0


def _loss(p: Floats, left: Floats) -> float:
    return -float((left * np.log(p) + (1 - left) * np.log1p(-p)).sum())
