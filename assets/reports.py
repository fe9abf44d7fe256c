"""Reports on the champion: groups served worse than others, and people who no longer look as in training."""

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from adapters.postgres.profile_groups import ProfileGroups
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import AGAIN
from assets.features import OWNERS


@dg.asset(
    group_name="reports",
    owners=OWNERS,
    kinds={"python", "parquet"},
    deps=["out_engagement_holdout"],
    metadata={"dagster/column_schema": tables.GROUPS, "dagster/table_name": "lake.out_engagement_groups"},
    retry_policy=AGAIN,
)
def out_engagement_groups(
    lake: dg.ResourceParam[Lake], profile_groups: dg.ResourceParam[ProfileGroups]
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per group of at least 200 rows: how well it is predicted, and how often it is notified."""
    from assets.steps import reports

    with refusals.final():
        made = reports.by_group(lake, profile_groups)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.written.digest),
        metadata=described.whole(made.written) | described.groups(made),
    )


@dg.asset(group_name="reports", owners=OWNERS, kinds={"python"}, deps=["engagement_champion"], retry_policy=AGAIN)
def engagement_shift(
    lake: dg.ResourceParam[Lake],
    model_registry: dg.ResourceParam[ModelRegistry],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """How far everybody's features of today lie from those the champion was trained on, by feature."""
    from assets.steps import reports

    with refusals.final():
        made = reports.shift(lake, model_registry, tenant_clocks.now())
    return dg.MaterializeResult(metadata=described.shift(made))
