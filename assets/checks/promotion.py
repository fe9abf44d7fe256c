"""The promotion gate as blocking checks, one for each claim: where one fails the champion stays."""

from collections.abc import Iterator

import dagster as dg

from adapters.bundle_shelf import BundleShelf
from adapters.clock import Clock
from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from adapters.postgres.model_outcomes import ModelOutcomes
from adapters.postgres.profile_groups import ProfileGroups
from adapters.postgres.shadow_outcomes import ShadowOutcomes
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals
from models.promotion.finding import OF_ENGAGEMENT, Claim

_SENTENCES = {
    Claim.BEATS_CHAMPION: "The challenger ranks, is calibrated, and is no worse than the champion on later rows.",
    Claim.CALIBRATED_PER_CHANNEL: "On every channel of enough rows what it predicts is what happens.",
    Claim.NO_GROUP_WORSE: "No group of at least 200 rows is predicted worse than by the champion.",
    Claim.FEATURES_AS_TRAINED: "The features it uses still look as they did in training.",
    Claim.FIT_TO_SERVE: "Its canary rows get probabilities, and its files and its answers fit into the service.",
    Claim.SHADOW: "On live messages it scored beside the champion it is no worse and calibrated, or nobody can tell.",
    Claim.LIVE: "What was decided live speaks for it as far as it can, and it was never rolled back.",
}
_SPECS = [
    dg.AssetCheckSpec(claim.value, asset="engagement_model", description=_SENTENCES[claim], blocking=True)
    for claim in OF_ENGAGEMENT
]


@dg.multi_asset_check(name="promotion_gate", specs=_SPECS)
def promotion_gate_checks(
    lake: dg.ResourceParam[Lake],
    model_registry: dg.ResourceParam[ModelRegistry],
    model_outcomes: dg.ResourceParam[ModelOutcomes],
    profile_groups: dg.ResourceParam[ProfileGroups],
    tenant_clocks: dg.ResourceParam[TenantClocks],
    shadow_outcomes: dg.ResourceParam[ShadowOutcomes],
    shadow_decisions: dg.ResourceParam[int],
    bundle_shelf: dg.ResourceParam[BundleShelf],
    feature_store: dg.ResourceParam[FeatureStore],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.AssetCheckResult]:
    """Weigh the challenger, let it stand as shadow where it may, and show every claim with its numbers."""
    from assets.steps import publishing
    from assets.steps.gate_evidence import Evidence

    evidence = Evidence(model_outcomes, profile_groups, tenant_clocks.now(), shadow_outcomes, shadow_decisions)
    with refusals.final():
        weighed = publishing.weigh(lake, model_registry, evidence)
        publishing.stand_as_shadow(weighed, model_registry, bundle_shelf, feature_store, created_at=clock.real())
    for claim in OF_ENGAGEMENT:
        held = all(finding.held for finding in weighed.verdict.of(claim))
        shown = described.weighed(weighed, claim, model_registry)
        yield dg.AssetCheckResult(passed=held, check_name=claim.value, asset_key="engagement_model", metadata=shown)
