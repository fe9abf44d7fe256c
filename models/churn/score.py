"""The chance of staying away, for many recipients at once."""

import numpy as np
import xgboost as xgb

from models.churn.train import Churn
from models.ridge import Floats


def chance(features: Floats, churn: Churn) -> Floats:
    """Return the chance of no session in the 30 days to come, in (0, 1), shape (n,).

    Args:
        features: in the order of ``spec.FEATURES``, NaN where missing, shape (n, d).
        churn: as fitted.
    """
    margin = churn.booster.predict(xgb.DMatrix(features, nthread=1), output_margin=True)
    return churn.calibration.apply(np.asarray(margin, dtype=np.float64))
