"""Lifetime value beside ``lifetimes``, on the 2,357 customers of CDNOW that come with it (experiment B12).

The peer is installed into an environment of its own, for the measurement only: its last release wants a ``setuptools``
that nothing else here should have. Without a package index there is no peer and no data, and the row says so.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from models.lifetime_value import bg_nbd, gamma_gamma
from models.lifetime_value.summary import Customers

REQUIREMENTS = ("lifetimes==0.11.3", "setuptools<81")
PUBLISHED = {"r": 0.2426, "alpha": 4.4135, "a": 0.7929, "b": 2.4258}
PUBLISHED_LOG_LIKELIHOOD = -9582.4256
LARGEST_DIFFERENCE, LARGEST_LOG_DIFFERENCE = 1e-4, 1e-3
_PEER = """
import json, sys, warnings
warnings.simplefilter("ignore")
from lifetimes import BetaGeoFitter, GammaGammaFitter
from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value
rows = load_cdnow_summary_data_with_monetary_value()
repeat = rows[rows["frequency"] > 0]
how_often = BetaGeoFitter().fit(rows["frequency"], rows["recency"], rows["T"])
how_much = GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])
rows.to_csv(sys.argv[1])
print(json.dumps({"purchases": how_often.params_.to_dict(), "spend": how_much.params_.to_dict()}))
"""


def measure() -> dict[str, Any]:
    """Return parameters and likelihood, and how far they are from the published and from the peer's."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            peer, rows = _peer(Path(folder))
        except (OSError, subprocess.CalledProcessError) as error:
            return {"peer": None, "because": str(error), "met": False}
    spend = rows["monetary_value"].where(rows["monetary_value"] > 0)
    customers = Customers.of(rows["frequency"], rows["recency"], rows["T"], spend)
    often, much = bg_nbd.fit(customers), gamma_gamma.fit(customers)
    found = {name: getattr(often, name) for name in PUBLISHED}
    theirs = peer["spend"] | {"gamma": peer["spend"]["v"]}
    from_published = max(abs(found[name] - value) for name, value in PUBLISHED.items())
    of_likelihood = abs(often.log_likelihood - PUBLISHED_LOG_LIKELIHOOD)
    return {
        "peer": REQUIREMENTS[0],
        "customers": len(customers),
        **found,
        "log_likelihood": often.log_likelihood,
        "max_difference_from_published": from_published,
        "max_difference_from_peer": max(abs(found[name] - value) for name, value in peer["purchases"].items()),
        "spend_max_difference_from_peer": max(abs(getattr(much, name) - theirs[name]) for name in ("p", "q", "gamma")),
        "met": from_published <= LARGEST_DIFFERENCE and of_likelihood <= LARGEST_LOG_DIFFERENCE,
    }


def _peer(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Install the peer, let it fit its own data, and return what it found and the data."""
    python, data = folder / "bin/python", folder / "rows.csv"
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    _run(*_uv(), "pip", "install", "--quiet", "--python", str(python), *REQUIREMENTS)
    told = _run(str(python), "-c", _PEER, str(data))
    return json.loads(told), pd.read_csv(data)


def _uv() -> list[str]:
    ours = Path(__file__).parents[1] / ".uv/bin/uv"
    return [str(ours) if ours.exists() else "uv"]


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603
