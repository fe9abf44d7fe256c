"""Lifetime value beside ``lifetimes``, on the 2,357 customers of CDNOW that come with it (experiment B12).

Its last release wants a ``setuptools`` that nothing else here should have, so it stays in its own environment. The data
come with it: without a package index there is neither, and the row says so.
"""

from typing import Any

import pandas as pd

from benchmarks import peers
from models.lifetime_value import bg_nbd, gamma_gamma
from models.lifetime_value.summary import Customers

PUBLISHED = {"r": 0.2426, "alpha": 4.4135, "a": 0.7929, "b": 2.4258}
PUBLISHED_LOG_LIKELIHOOD = -9582.4256
LARGEST_DIFFERENCE, LARGEST_LOG_DIFFERENCE = 1e-4, 1e-3


def measure() -> dict[str, Any]:
    """Return parameters and likelihood, and how far they are from the published and from the peer's."""
    try:
        peer = peers.ask(peers.LIFETIMES, "lifetimes_fit.py")
    except peers.Unavailable as error:
        return {"peer": None, "peer unavailable": str(error), "met": None}
    rows = pd.DataFrame(peer["rows"])
    spend = rows["monetary_value"].where(rows["monetary_value"] > 0)
    customers = Customers.of(rows["frequency"], rows["recency"], rows["T"], spend)
    often, much = bg_nbd.fit(customers), gamma_gamma.fit(customers)
    found = {name: getattr(often, name) for name in PUBLISHED}
    theirs = peer["spend"] | {"gamma": peer["spend"]["v"]}
    from_published = max(abs(found[name] - value) for name, value in PUBLISHED.items())
    of_likelihood = abs(often.log_likelihood - PUBLISHED_LOG_LIKELIHOOD)
    return {
        "peer": peers.LIFETIMES.about,
        "customers": len(customers),
        **found,
        "log_likelihood": often.log_likelihood,
        "max_difference_from_published": from_published,
        "max_difference_from_peer": max(abs(found[name] - value) for name, value in peer["purchases"].items()),
        "spend_max_difference_from_peer": max(abs(getattr(much, name) - theirs[name]) for name in ("p", "q", "gamma")),
        "met": from_published <= LARGEST_DIFFERENCE and of_likelihood <= LARGEST_LOG_DIFFERENCE,
    }
