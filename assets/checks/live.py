"""The champion means what it says, on what came of its decisions; a failure is what a rollback follows."""

import dagster as dg

from adapters.lake import Lake
from assets import described, refusals


@dg.asset_check(
    asset="out_engagement_live_quality",
    description="Observed over expected conversions and their cumulative sums show nothing that chance does not.",
)
def champion_holds_on_live_outcomes(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
    """Read the alarms of the last look."""
    from assets.steps import watching

    with refusals.final():
        version, alarms = watching.alarms(lake)
    return dg.AssetCheckResult(passed=not alarms, metadata=described.alarms(version, alarms))
