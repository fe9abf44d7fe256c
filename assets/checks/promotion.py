"""The promotion gate as a blocking check: without it the champion stays."""

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from assets import described, refusals


@dg.asset_check(
    asset="engagement_model",
    blocking=True,
    description="The challenger ranks, is calibrated, and is no worse than the champion on later rows.",
)
def challenger_beats_champion(
    lake: dg.ResourceParam[Lake], model_registry: dg.ResourceParam[ModelRegistry]
) -> dg.AssetCheckResult:
    """Weigh the challenger against the champion, write the verdict on its version, and show both."""
    from assets.steps import publishing

    with refusals.final():
        weighed = publishing.weigh(lake, model_registry)
    return dg.AssetCheckResult(passed=weighed.verdict.passed, metadata=described.weighed(weighed, model_registry))
