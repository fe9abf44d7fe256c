"""From sessions to features as of a moment, and to whether somebody stayed away after it."""

import numpy as np
import pandas as pd

from models.churn.spec import FEATURES, HORIZON_DAYS

_DAY = np.timedelta64(1, "D")


def features(sessions: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Return what was known of each recipient at a moment; only sessions strictly before it count.

    Args:
        sessions: columns ``recipient_id`` and ``at``.
        at: the moment.

    Returns:
        Columns ``spec.FEATURES``, indexed by recipient; NaN for gaps of who came once.
    """
    known = sessions[sessions["at"] < at]
    age = (at - known["at"]).to_numpy() / _DAY
    rows = pd.DataFrame({"recipient_id": known["recipient_id"].to_numpy(), "age": age})
    grouped = rows.groupby("recipient_id")["age"]
    last, first, count = grouped.min(), grouped.max(), grouped.size()
    gap = ((first - last) / (count - 1)).where(count > 1)
    within = {days: rows[rows["age"] <= days].groupby("recipient_id").size() for days in (7, 28, 90)}
    made = pd.DataFrame(
        {
            "days_since_last": last,
            "days_since_first": first,
            **{f"sessions_{days}d": each.reindex(last.index, fill_value=0) for days, each in within.items()},
            "mean_gap_days": gap,
            "last_over_gap": last / gap.where(gap > 0),
        }
    )
    return made[list(FEATURES)].astype(np.float64)


def stayed_away(sessions: pd.DataFrame, at: pd.Timestamp, recipients: pd.Index) -> "pd.Series[bool]":
    """Return who had no session in the 30 days from a moment on, indexed by recipient.

    The sessions must reach to the end of these days, or everybody seems gone.

    Raises:
        ValueError: they do not.
    """
    until = at + pd.Timedelta(days=HORIZON_DAYS)
    if sessions.empty or sessions["at"].max() < until - pd.Timedelta(days=1):
        raise ValueError(f"sessions: expected some until {until.isoformat()}: the month after is not over")
    came = sessions.loc[(sessions["at"] >= at) & (sessions["at"] < until), "recipient_id"].unique()
    return pd.Series(~recipients.isin(came), index=recipients)
