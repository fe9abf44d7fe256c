"""Fits and registers what is learned from purchases: lifetime value and churn, by the same path as every model.

Fitted on everything that is known; a fit on all but the last 30 days is held to those, and ``customer_gate`` decides
whether the version may be the champion. One currency is learned from, the commonest: amounts of two cannot be added.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from adapters.lake import Lake
from adapters.model_registry import CHALLENGER, CHAMPION, DataSet, ModelRegistry, Training, Version
from assets.steps import event_days, pictures
from domain.events import EventType
from models.lifetime_value import score, spec, summary, value
from models.lifetime_value.summary import NotEnoughData
from models.promotion.card import Card

SNAPSHOT, METRICS = "data.snapshot_id", "kairos.metrics"
PASSED, AGAINST, REASONS = "gate.passed", "gate.against", "gate.reasons"
PURCHASES = "gate.purchases"
"""Tag: purchases that came in the time held out, over those expected."""
NOBODY = "nobody"
"""Stands for the champion while there is none."""
_COLUMNS = ("tenant", "recipient_id", "occurred_at", "value_minor", "currency")
_TOLD = {
    spec.VALUE: ("minor units spent in the next 30 days", "Ranks customers by what they will spend."),
    spec.CHURN: ("the chance that a customer has left, 0 to 1", "Finds customers who stopped coming."),
}


@dataclass(frozen=True)
class Made:
    """A version that stands as challenger; ``figures`` are empty when it was registered before."""

    version: Version
    metrics: Mapping[str, float]
    figures: Mapping[str, bytes]


def purchases(lake: Lake, nows: Mapping[str, datetime]) -> pd.DataFrame:
    """Return purchases known by each tenant's moment: ``recipient_id`` with its tenant, ``at`` and ``amount``."""
    where = pads.field("type") == pa.scalar(EventType.PURCHASE.value)
    rows = lake.select(event_days.TABLE, columns=_COLUMNS, where=where).to_pandas()
    moments = rows["tenant"].map(dict(nows)).astype(pd.DatetimeTZDtype("us", "UTC"))
    known = rows[rows["occurred_at"] <= moments]
    commonest = known["currency"].mode()
    amount = known["value_minor"].where(known["currency"].isin(commonest[:1]) & (known["value_minor"] > 0))
    return pd.DataFrame(
        {
            "recipient_id": known["tenant"] + "\t" + known["recipient_id"],
            "at": known["occurred_at"],
            "amount": amount.astype("float64"),
        }
    ).reset_index(drop=True)


def fit_and_register(
    name: str, lake: Lake, registry: ModelRegistry, nows: Mapping[str, datetime], lineage: Mapping[str, str]
) -> Made:
    """Fit one of the two models, judge it on the time held out, and register it as challenger.

    The same purchases are fitted once: a challenger that has them is taken as it is.

    Raises:
        NotEnoughData: too few customers, or too few who came back.
    """
    lake.require_checked(event_days.TABLE)
    bought = purchases(lake, nows)
    if bought.empty:
        raise NotEnoughData("not enough data: no purchase is known")
    snapshot = _digest(bought)
    known = registry.version(CHALLENGER)
    if known is not None and known.tags.get(SNAPSHOT) == snapshot:
        return Made(known, json.loads(known.tags[METRICS]), {})
    end = bought["at"].max().floor("D") + pd.Timedelta(days=1)
    cut = end - timedelta(days=spec.HORIZON_DAYS)
    metrics, figure = _judged(bought, cut)
    _, customers = summary.of_purchases(bought, end=end)
    fitted = value.fit(customers)
    if name == spec.VALUE and fitted.spend is None:
        raise NotEnoughData(fitted.warnings[0])
    rows = pd.DataFrame(score.rows(customers), columns=list(spec.FEATURES)).assign(label=np.nan)
    tags = {**lineage, PURCHASES: repr(metrics["observed_expected"])}
    training = _training(name, fitted, metrics, {"plots/purchases.png": figure}, snapshot, tags)
    told = DataSet(rows, f"{name}_customers", str(lake.root), snapshot, "label")
    version = registry.log(training, told, run_name=name)
    registry.set_alias(CHALLENGER, version)
    return Made(version, metrics, training.figures)


def _digest(bought: pd.DataFrame) -> str:
    """Return what tells these purchases from others, in whatever order; names nobody."""
    hashes = np.sort(pd.util.hash_pandas_object(bought, index=False).to_numpy())
    return hashlib.sha256(hashes.tobytes()).hexdigest()


def _judged(bought: pd.DataFrame, cut: pd.Timestamp) -> tuple[dict[str, float], bytes]:
    """Return numbers about the time after the cut from a fit on the time before, and a picture of both."""
    known, early = summary.of_purchases(bought, end=cut)
    model = value.fit(early)
    expected = model.purchases.expected_purchases(early, float(spec.HORIZON_DAYS))
    days = bought.loc[bought["at"] >= cut].assign(day=lambda frame: frame["at"].dt.floor("D"))
    came = days.drop_duplicates(["recipient_id", "day"]).groupby("recipient_id").size().reindex(known, fill_value=0)
    observed = came.to_numpy(dtype=np.float64)
    together = pd.Series(expected).corr(pd.Series(observed), method="spearman")
    metrics = {
        "customers": float(len(early)),
        "observed_expected": float(observed.sum() / expected.sum()),
        "rank_correlation": float(np.nan_to_num(together)),
        "mean_alive": float(model.purchases.alive(early).mean()),
    }
    fifths = np.array_split(np.argsort(expected), 5)
    bars = {
        f"{place + 1} {kind}": float(numbers[fifth].mean())
        for place, fifth in enumerate(fifths)
        for kind, numbers in (("expected", expected), ("came", observed))
    }
    return metrics, pictures.lying_bars(bars, title="Purchases in 30 days by fifth", unit="per customer")


def _training(
    name: str,
    fitted: value.LifetimeValue,
    metrics: Mapping[str, float],
    figures: Mapping[str, bytes],
    snapshot: str,
    tags: Mapping[str, str],
) -> Training:
    target, purpose = _TOLD[name]
    card = Card(
        name=name,
        purpose=purpose,
        limits="; ".join(("Nothing but purchases is known to it.", *fitted.warnings)),
        target=target,
        features=spec.FEATURES,
        data={"snapshot": snapshot},
        metrics=metrics,
        consent="the tenant's own records of purchases",
    )
    told = json.dumps({key: round(number, 6) for key, number in sorted(metrics.items())})
    return Training(
        files=score.to_files(name, fitted),
        features=spec.FEATURES,
        params={"r": fitted.purchases.r, "alpha": fitted.purchases.alpha, "horizon_days": spec.HORIZON_DAYS},
        metrics=metrics,
        figures=figures,
        reports={"card.md": card.markdown()},
        tags={SNAPSHOT: snapshot, METRICS: told, "feast.feature_service": "none", **tags},
        scorer="models.lifetime_value.score",
    )


def score_all(lake: Lake, registry: ModelRegistry, nows: Mapping[str, datetime]) -> pd.DataFrame:
    """Return the champion's score of every customer with its ``version``; nothing without a champion."""
    champion = registry.version(CHAMPION)
    if champion is None:
        return pd.DataFrame(columns=["tenant", "recipient_id", "version", "score"])
    bought = purchases(lake, nows)
    who, customers = summary.of_purchases(bought, end=bought["at"].max().floor("D") + pd.Timedelta(days=1))
    scorer = score.Scorer.from_files(registry.files(champion))
    names = pd.Series(who.astype(str)).str.split("\t", n=1, expand=True)
    p = scorer.score(score.rows(customers))
    return pd.DataFrame({"tenant": names[0], "recipient_id": names[1], "version": champion.version, "score": p})
