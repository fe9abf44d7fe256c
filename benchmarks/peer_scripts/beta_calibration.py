"""Calibrate probabilities by betacal and by scikit-learn; called with the arrays' file and the answer's."""

import json
import sys
from pathlib import Path

import numpy as np
from betacal import BetaCalibration
from sklearn.isotonic import IsotonicRegression

with np.load(sys.argv[1]) as given:
    fitted, label, judged = given["p_fit"], given["label_fit"], given["p"]
beta = BetaCalibration(parameters="abm").fit(fitted.reshape(-1, 1), label)
steps = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(fitted, label)
answer = {
    "betacal": np.asarray(beta.predict(judged.reshape(-1, 1))).tolist(),
    "sklearn": steps.predict(judged).tolist(),
}
Path(sys.argv[2]).write_text(json.dumps(answer))
