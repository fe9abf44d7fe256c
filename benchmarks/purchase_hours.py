"""Whether the hour of a household's next purchases is told better than by everybody's histogram, on real purchases.

The Complete Journey, cut at 2017-07-01 New York time: profiles from baskets before, judged on baskets of the quarter
after. Its stamps are UTC without a zone. Without the data there is no answer, and the row says so.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.send_time import dataset, evaluate, score, train
from models.send_time.spec import Floats

DATA = Path(__file__).parents[2] / "shared/data/completejourney"
ZONE = "America/New_York"
CUT = pd.Timestamp("2017-07-01", tz=ZONE)
LEAST_NATS = 0.10
_TUNED_DAYS = 28


def measure(folder: Path | None = None) -> dict[str, Any]:
    """Return the nats a purchase gains over the global histogram, with a 95 % interval over households."""
    path = (folder or DATA) / "transactions.parquet"
    if not path.is_file():
        return {"skipped": f"data absent: {path.name}", "met": None}
    baskets = _baskets(path)
    profiles = np.unique(baskets["household_id"])
    who = np.searchsorted(profiles, baskets["household_id"]).astype(np.int64)
    rows = pd.DataFrame({"who": who, "hour": dataset.hours_of_week(baskets["at"]), "at": baskets["at"]})
    counts = _counts(rows, until=CUT, recipients=len(profiles))
    before = CUT - pd.Timedelta(days=_TUNED_DAYS)
    fitted = train.fit(
        counts,
        _counts(rows, until=before, recipients=len(profiles)),
        _plain(rows[(rows["at"] >= before) & (rows["at"] < CUT)], len(profiles)),
        seed=0,
    )
    later = _plain(rows[rows["at"] >= CUT], len(profiles))
    earlier = _plain(rows[rows["at"] < CUT], len(profiles))
    found = evaluate.gain(score.log_activity(counts, fitted), later, earlier, seed=0)
    return {
        "households": found.people,
        "purchases": int(found.sessions),
        "nats": round(found.nats, 4),
        "low": found.low,
        "high": found.high,
        "kappa": fitted.kappa,
        "temper": fitted.temper,
        "met": found.nats >= LEAST_NATS,
    }


def _baskets(path: Path) -> pd.DataFrame:
    rows = pd.read_parquet(path, columns=["household_id", "basket_id", "transaction_timestamp"])
    baskets = rows.drop_duplicates("basket_id")
    local = baskets["transaction_timestamp"].dt.tz_localize("UTC").dt.tz_convert(ZONE)
    return pd.DataFrame({"household_id": baskets["household_id"], "at": local})


def _counts(rows: pd.DataFrame, *, until: pd.Timestamp, recipients: int) -> Floats:
    known = rows[rows["at"] < until]
    age = ((until - known["at"]).dt.total_seconds() / 86_400).to_numpy(dtype=np.float64)
    return dataset.counted(known["who"].to_numpy(), known["hour"].to_numpy(), age, recipients=recipients)


def _plain(rows: pd.DataFrame, recipients: int) -> Floats:
    none = np.zeros(len(rows))
    return dataset.counted(rows["who"].to_numpy(), rows["hour"].to_numpy(), none, recipients=recipients)
