"""Scores of every recipient by every registered model, a day at a time."""

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import Registries
from adapters.postgres.learning_facts import LearningFacts
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import AGAIN
from assets.features import OWNERS, core_recipient_engagement_daily


@dg.asset(
    group_name="scores",
    owners=OWNERS,
    kinds={"xgboost", "parquet"},
    deps=[core_recipient_engagement_daily],
    metadata={"dagster/column_schema": tables.SCORES, "dagster/table_name": "lake.out_recipient_scores"},
    retry_policy=AGAIN,
)
def out_recipient_scores(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registries: dg.ResourceParam[Registries],
    learning_facts: dg.ResourceParam[LearningFacts],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per recipient, model and channel, as of the day's end, by the versions that are champions now."""
    from assets.steps import scoring_days

    days, facts, nows = described.dates(context.partition_keys), learning_facts.read(), tenant_clocks.now()
    with refusals.final():
        written = scoring_days.score_days(lake, registries, days, facts=facts, nows=nows)
    for day, one in written.items():
        context.add_asset_metadata(described.day(one), partition_key=day.isoformat())
    return dg.MaterializeResult(data_version=described.version(written), metadata=described.days(written))
