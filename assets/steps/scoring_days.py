"""Scores every recipient of a day with the champion of every registered model, where the recipient allows it.

The engagement model is asked about each channel it knows, for its most usual message at noon, so that recipients can be
compared; who does not allow personalization has no row, and nobody's opens are used where they may not be.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from adapters.lake import Lake, Written
from adapters.model_registry import CHAMPION, Registries
from adapters.postgres.learning_facts import Facts
from assets.steps import customer_models, feature_days, training_rows, volume_fit
from feature_repo.engagement.at_read import at_read
from models.engagement import spec
from models.engagement.score import Scorer
from models.lifetime_value import spec as customers
from models.volume import registered as volume

TABLE = "out_recipient_scores"
SCHEMA = pa.schema(
    [
        ("tenant", pa.string()),
        ("recipient_id", pa.string()),
        ("as_of", pa.timestamp("us", tz="UTC")),
        ("model", pa.string()),
        ("version", pa.string()),
        ("channel", pa.string()),
        ("score", pa.float64()),
    ]
)
_NOON = 12
_DAY = timedelta(days=1)
OVERALL = "*"


def score_days(
    lake: Lake, registries: Registries, days: Sequence[date], *, facts: Facts, nows: Mapping[str, datetime]
) -> dict[date, Written]:
    """Write the scores of some days; a model without a champion has no rows.

    Args:
        lake: holds the features of those days.
        registries: where the champions are.
        days: UTC days.
        facts: what recipients allow.
        nows: the tenants' clocks.
    """
    champion = registries.of(spec.NAME).version(CHAMPION)
    scorer = Scorer.from_files(registries.of(spec.NAME).files(champion)) if champion is not None else None
    written = {}
    for day in days:
        rows = lake.read(feature_days.TABLE, day=day).to_pandas()
        end = pd.Timestamp(day + _DAY, tz="UTC").as_unit("us")
        parts = [_of_customers(lake, registries, name, nows, end) for name in (customers.VALUE, customers.CHURN)]
        parts.append(_of_volume(lake, registries, facts, nows, end))
        if scorer is not None and champion is not None and len(rows):
            parts.append(_engagement(rows, scorer, champion.version, facts, end))
        made = pd.concat([part for part in parts if len(part)] or [pd.DataFrame(columns=SCHEMA.names)])
        made = made.sort_values(["tenant", "recipient_id", "model", "channel"], ignore_index=True)
        table = pa.Table.from_pandas(made[SCHEMA.names], schema=SCHEMA, preserve_index=False)
        written[day] = lake.write(TABLE, table, day=day)
    return written


def _engagement(rows: pd.DataFrame, scorer: Scorer, version: str, facts: Facts, end: pd.Timestamp) -> pd.DataFrame:
    kinds = {name: rate for name, rate in scorer.base_rates.items() if name != OVERALL}
    usual = min(kinds, key=lambda name: abs(kinds[name] - scorer.base_rates[OVERALL])) if kinds else None
    asked = pd.concat([rows.assign(channel=name) for name in scorer.vocabularies["channel"]], ignore_index=True)
    asked = asked.assign(
        decided_at=end,
        message_type=usual,
        local_hour_of_week=(end - _DAY).dayofweek * 24 + _NOON,
        local_date=(end - _DAY).date(),
    )
    allowed = asked[training_rows.may_learn(asked, facts.histories)].reset_index(drop=True)
    if allowed.empty:
        return allowed.reindex(columns=SCHEMA.names)
    seen = training_rows.without_opens(allowed, ~training_rows.may_use_opens(allowed, facts))
    read = at_read(seen, seen, features=scorer.features, vocabularies=scorer.vocabularies)
    return seen[["tenant", "recipient_id", "channel"]].assign(
        as_of=end, model=spec.NAME, version=version, score=scorer.score(np.ascontiguousarray(read.matrix))
    )


def _of_volume(
    lake: Lake, registries: Registries, facts: Facts, nows: Mapping[str, datetime], end: pd.Timestamp
) -> pd.DataFrame:
    known = {tenant: min(now, end.to_pydatetime()) for tenant, now in nows.items()}
    found = volume_fit.suggested(lake, registries.of(volume.NAME), facts=facts, nows=known)
    return found.assign(model=volume.NAME, as_of=end, channel=None)


def _of_customers(
    lake: Lake, registries: Registries, name: str, nows: Mapping[str, datetime], end: pd.Timestamp
) -> pd.DataFrame:
    known = {tenant: min(now, end.to_pydatetime()) for tenant, now in nows.items()}
    found = customer_models.score_all(lake, registries.of(name), known)
    return found.assign(model=name, as_of=end, channel=None)
