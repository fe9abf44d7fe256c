"""Fit lifetimes' models to the CDNOW customers that come with it, and hand both over; called as the others are."""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

from lifetimes import BetaGeoFitter, GammaGammaFitter  # noqa: E402
from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value  # noqa: E402

rows = load_cdnow_summary_data_with_monetary_value()
repeat = rows[rows["frequency"] > 0]
how_often = BetaGeoFitter().fit(rows["frequency"], rows["recency"], rows["T"])
how_much = GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])
answer = {
    "purchases": how_often.params_.to_dict(),
    "spend": how_much.params_.to_dict(),
    "rows": {name: rows[name].tolist() for name in ("frequency", "recency", "T", "monetary_value")},
}
Path(sys.argv[2]).write_text(json.dumps(answer))
