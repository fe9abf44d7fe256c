"""What decisions read online is what the table says: compared on a sample after every load."""

import dagster as dg

from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from adapters.tenant_clocks import TenantClocks
from assets import described


@dg.asset_check(
    asset="online_recipient_features",
    description="A sample of recipients has the same values online and in the table, or newer ones from the stream.",
)
def online_equals_offline(
    lake: dg.ResourceParam[Lake],
    feature_store: dg.ResourceParam[FeatureStore],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.AssetCheckResult:
    """Compare online values with the newest day of the table; count what differs, name no recipient."""
    from assets.steps import online

    found = online.compare(lake, feature_store, online.newest_days(lake, tenant_clocks.now()))
    return dg.AssetCheckResult(passed=found.holds, metadata=described.parity(found))
