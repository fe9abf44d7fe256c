"""The constants of churn, and the features it is told from."""

from typing import Final

HORIZON_DAYS: Final = 30
"""Gone is who does not come for so long."""
FEATURES: Final = (
    "days_since_last", "days_since_first", "sessions_7d", "sessions_28d", "sessions_90d",
    "mean_gap_days", "last_over_gap",
)  # fmt: skip
"""In the order of the columns."""
FEWEST_PEOPLE: Final = 300
FEWEST_OF_EACH: Final = 50
"""Who stayed away and who came back."""
BOOSTER: Final = {"max_depth": 3, "eta": 0.05, "min_child_weight": 10, "reg_lambda": 10.0, "subsample": 0.8}
ROUNDS: Final = 120
FOLDS: Final = 4
"""For calibration on rows the booster did not see."""
