"""Rank people by scikit-uplift's learners; called with the arrays' file and the answer's."""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklift.models import ClassTransformation, SoloModel, TwoModels


def boosted() -> HistGradientBoostingClassifier:
    """Return the learner that all share, as strong as the one of ours."""
    return HistGradientBoostingClassifier(
        max_depth=3, learning_rate=0.05, max_iter=150, min_samples_leaf=100, l2_regularization=20.0, random_state=0
    )


with np.load(sys.argv[1]) as given:
    seen, target, treatment, judged = (given[name] for name in ("features", "active", "treated", "judged"))
models = {
    "sklift_solo": SoloModel(boosted()),
    "sklift_two_models": TwoModels(boosted(), boosted(), method="vanilla"),
    "sklift_transformed": ClassTransformation(boosted()),
}
answer = {}
for name, model in models.items():
    model.fit(seen, target.astype(int), treatment.astype(int))
    answer[name] = np.asarray(model.predict(judged), dtype=float).tolist()
Path(sys.argv[2]).write_text(json.dumps(answer))
