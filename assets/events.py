"""Events as they were received: one table of the lake, one day each, copied from PostgreSQL."""

from datetime import timedelta

import dagster as dg

from adapters.lake import Lake
from adapters.postgres.event_archive import EventArchive
from assets import described, tables

OWNERS = ["team:data-platform"]
NIGHTLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=50))
"""A night and two hours; after a second missed night features count as missing."""
AGAIN = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For steps that talk to a server."""


@dg.asset(
    group_name="events",
    owners=OWNERS,
    kinds={"postgres", "parquet"},
    metadata={"dagster/column_schema": tables.EVENTS, "dagster/table_name": "lake.raw_engagement_events"},
    freshness_policy=NIGHTLY,
    retry_policy=AGAIN,
)
def raw_engagement_events(
    context: dg.AssetExecutionContext, event_archive: dg.ResourceParam[EventArchive], lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per event of every tenant, by the UTC day on which it happened; equal events give equal bytes."""
    from assets.steps import event_days

    written = event_days.copy_days(event_archive, lake, described.dates(context.partition_keys), context.log.info)
    for day, one in written.items():
        context.add_asset_metadata(described.day(one), partition_key=day.isoformat())
    return dg.MaterializeResult(data_version=described.version(written), metadata=described.days(written))
