"""Segments: which recipients belong together by recency, frequency and spend."""

import dagster as dg

from adapters.lake import Lake
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import NIGHTLY
from assets.features import OWNERS, core_recipient_engagement_daily


@dg.asset(
    group_name="segments",
    owners=OWNERS,
    kinds={"python", "parquet"},
    deps=[core_recipient_engagement_daily],
    metadata={"dagster/column_schema": tables.SEGMENTS, "dagster/table_name": "lake.out_segment_membership"},
    freshness_policy=NIGHTLY,
)
def out_segment_membership(
    lake: dg.ResourceParam[Lake], tenant_clocks: dg.ResourceParam[TenantClocks]
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per recipient: the segment they are in, from their tenant's newest day of features."""
    from assets.steps import membership

    with refusals.final():
        written, picture = membership.write(lake, tenant_clocks.now())
    shown = described.whole(written) | {"sizes": described.picture(picture, alt="segment sizes")}
    return dg.MaterializeResult(data_version=dg.DataVersion(written.digest), metadata=shown)
