"""The chance of leaving by one message, for many recipients and channels at once."""

import numpy as np
from scipy.special import expit

from models.opt_out.train import PRIOR, Hazard
from models.ridge import Floats
from models.send_time.dataset import Integers


def chance(channel: Integers, weariness: Floats, hazard: Hazard = PRIOR) -> Floats:
    """Return the chance that one message makes its recipient leave, in (0, 1); both arguments broadcast.

    Args:
        channel: index into ``spec.CHANNELS``.
        weariness: of the recipient, at least 0.
        hazard: as fitted, or the prior.
    """
    return np.asarray(expit(hazard.coefficients[channel] + hazard.coefficients[-1] * weariness))
