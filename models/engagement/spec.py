"""The engagement model's contract: what it predicts, from which features, in which order.

The score is the calibrated probability that a message is answered by a conversion within its attribution window.
A contract test holds this list and the Feast feature service together; neither imports the other.
"""

from dataclasses import dataclass

NAME = "engagement"
"""Name of the registered model and of its serving bundles."""

LABEL = "label"
"""1 when the message was answered by a conversion in time, else 0."""

FEATURES = (
    "message_type_code",
    "channel_code",
    "decision_is_weekend",
    "hour_match_90d",
    "activity_weekend_rate_90d",
    "active_days_count_30d",
    "last_active_age_hours",
    "app_opened_count_30d",
    "page_viewed_count_30d",
    "last_app_opened_age_hours",
    "purchase_count_30d",
    "purchase_count_90d",
    "purchase_value_cents_30d",
    "purchase_value_cents_90d",
    "last_purchase_age_hours",
    "purchase_with_coupon_count_30d",
    "purchase_with_coupon_count_90d",
    "purchase_coupon_value_cents_90d",
    "purchase_with_coupon_rate_90d",
    "last_purchase_with_coupon_age_hours",
    "channel_sent_count_30d",
    "channel_open_rate_90d",
    "channel_click_rate_90d",
    "channel_conversion_rate_90d",
    "opened_count_30d",
    "clicked_count_30d",
    "dismissed_count_30d",
    "converted_count_90d",
    "sent_converted_count_90d",
    "last_opened_age_hours",
    "last_clicked_age_hours",
    "last_converted_age_hours",
)
"""Names from the feature catalog; the order is the order of the matrix's columns."""

NOT_USED = {
    "season_cos": "less than a year of history cannot tell season from trend",
    "season_sin": "less than a year of history cannot tell season from trend",
    "sent_count_30d": "who was chosen for past campaigns says more about the chooser than about the recipient",
}
"""Features left out on purpose, with the reason."""

MONOTONE = {
    "message_type_code": 1,
    "active_days_count_30d": 1,
    "last_active_age_hours": -1,
    "app_opened_count_30d": 1,
    "page_viewed_count_30d": 1,
    "last_app_opened_age_hours": -1,
    "purchase_count_30d": 1,
    "purchase_count_90d": 1,
    "purchase_value_cents_30d": 1,
    "purchase_value_cents_90d": 1,
    "last_purchase_age_hours": -1,
    "purchase_with_coupon_count_30d": 1,
    "purchase_with_coupon_count_90d": 1,
    "purchase_coupon_value_cents_90d": 1,
    "purchase_with_coupon_rate_90d": 1,
    "last_purchase_with_coupon_age_hours": -1,
    "channel_sent_count_30d": -1,
    "channel_open_rate_90d": 1,
    "channel_click_rate_90d": 1,
    "channel_conversion_rate_90d": 1,
    "opened_count_30d": 1,
    "clicked_count_30d": 1,
    "dismissed_count_30d": -1,
    "converted_count_90d": 1,
    "sent_converted_count_90d": 1,
    "last_opened_age_hours": -1,
    "last_clicked_age_hours": -1,
    "last_converted_age_hours": -1,
}
"""Direction in which a feature may move the score. Types are coded in the order of their training rates, so a
higher code may only raise it; pressure may only lower it; recent activity and answers may only raise it."""


@dataclass(frozen=True)
class Params:
    """Hyper-parameters of the booster.

    ``colsample`` is a share of the features that vary in the training data: columns without variation must not
    crowd out those that carry something.
    """

    rounds: int = 250
    learning_rate: float = 0.03
    max_depth: int = 2
    min_child_weight: float = 5.0
    subsample: float = 0.8
    colsample: float = 0.3
    reg_lambda: float = 5.0


PARAMS = Params()
"""Chosen by rolling origins within the training period of The Complete Journey: shallow, slow and constrained."""

MIN_ROWS = 200
"""Fewer labelled rows than this are not trained on."""

MIN_POSITIVES = 30
"""Fewer rows of either class than this are not trained on."""


class NotEnoughData(ValueError):
    """There are too few rows for a number that means something; says of what, how many, and how many it takes."""

    def __init__(self, what: str, *, have: int, need: int) -> None:
        super().__init__(f"{what}: {have}, at least {need} are needed")
        self.what = what
        self.have = have
        self.need = need
