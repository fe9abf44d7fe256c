"""Features of recipients: computed for each day's end, kept in the lake, and the newest day online."""

import warnings

import dagster as dg

from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from adapters.postgres.event_archive import EventArchive
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import AGAIN, NIGHTLY
from feature_repo.engagement import catalog

OWNERS = ["team:personalization"]
with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # the parameter may change its name in a minor version
    _LOOKBACK = dg.TimeWindowPartitionMapping(
        start_offset=-catalog.LOOKBACK_DAYS, allow_nonexistent_upstream_partitions=True
    )


@dg.asset(
    group_name="features",
    owners=OWNERS,
    kinds={"ibis", "duckdb", "parquet"},
    deps=[dg.AssetDep("raw_engagement_events", partition_mapping=_LOOKBACK)],
    metadata={"dagster/column_schema": tables.FEATURES, "dagster/table_name": "lake.core_recipient_engagement_daily"},
    freshness_policy=NIGHTLY,
)
def core_recipient_engagement_daily(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    event_archive: dg.ResourceParam[EventArchive],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per recipient and day, as of the day's end, from the 90 days of events before it."""
    from assets.steps import feature_days

    days, nows = described.dates(context.partition_keys), tenant_clocks.now()
    with refusals.final():
        written = feature_days.compute_days(
            lake, days, event_days=event_archive.days(), nows=nows, report=context.log.info
        )
    for day, one in written.items():
        context.add_asset_metadata(described.day(one), partition_key=day.isoformat())
    drawn = described.picture(feature_days.activity(lake, days[-1]), alt="active recipients")
    shown = described.days(written) | {"active_recipients": drawn}
    return dg.MaterializeResult(data_version=described.version(written), metadata=shown)


@dg.asset(
    group_name="features",
    owners=OWNERS,
    kinds={"feast", "redis"},
    deps=[core_recipient_engagement_daily],
    freshness_policy=NIGHTLY,
    retry_policy=AGAIN,
)
def online_recipient_features(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    feature_store: dg.ResourceParam[FeatureStore],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per recipient: every tenant's newest day of features, as decisions read it."""
    from assets.steps import online

    with refusals.final():
        newest = online.publish(lake, feature_store, tenant_clocks.now(), context.log.info)
    return dg.MaterializeResult(metadata=described.online(newest, online.rows(lake, newest)))
