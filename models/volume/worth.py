"""What one message is worth now, in days on which its recipient is active, beside what it takes away later.

    S = p_open (1 - p_active) - p_out loss - lasting v exp(-v) (1 - 0.7 p_open)

The first term is whom it brings who would not have come; the second the channel it may lose; the third what messages
take from the visits people make by themselves: v visits a day, of which each message takes a share that fades over
weeks, less where it was opened. A message goes out where S is above a price: the price of a volume, or 0.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SPARED_BY_OPEN = 0.7
"""Part of the lasting harm that a message does not do where it is opened."""


def worth(p_open: Floats, visits: Floats, p_out: Floats, *, loss: Floats | float, lasting: float) -> Floats:
    """Return the worth of a message to each recipient, in active days, shape (n,).

    Args:
        p_open: chance of an open, in [0, 1], shape (n,).
        visits: mean visits a day without a message, at least 0, shape (n,).
        p_out: chance that it makes the recipient leave, in [0, 1], shape (n,).
        loss: active days that leaving costs, at least 0, broadcasts.
        lasting: by how much one ignored message lowers log visits, summed over the days it is felt; at least 0.

    Raises:
        ValueError: names what is out of range and what was expected.
    """
    rules = {
        "p_open: expected 0 to 1": (p_open >= 0) & (p_open <= 1),
        "visits: expected at least 0": visits >= 0,
        "p_out: expected 0 to 1": (p_out >= 0) & (p_out <= 1),
        "loss: expected at least 0": np.asarray(loss) >= 0,
        "lasting: expected at least 0": np.asarray(lasting) >= 0,
    }
    for rule, holds in rules.items():
        if not np.all(holds):
            raise ValueError(rule)
    brought = p_open * np.exp(-visits)
    harm = lasting * visits * np.exp(-visits) * (1 - _SPARED_BY_OPEN * p_open)
    return np.asarray(brought - p_out * loss - harm)
