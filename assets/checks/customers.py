"""The gate of the customers' models as blocking checks, one for each claim: where one fails the champion stays."""

from collections.abc import Iterator

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import Registries
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals
from models.promotion.finding import OF_CUSTOMERS, Claim

_SENTENCES = {
    Claim.BEATS_CHAMPION: "It tells later time better than a constant, in the right order, no worse than the champion.",
    Claim.CALIBRATED: "What it expects of later time is what comes.",
    Claim.FEATURES_AS_TRAINED: "Customers of today look as those a month ago did.",
    Claim.FIT_TO_SERVE: "Sample customers get finite scores in range; its files and answers fit into the service.",
}


def _checks(name: str) -> dg.AssetChecksDefinition:
    asset = f"{name}_model"
    specs = [
        dg.AssetCheckSpec(claim.value, asset=asset, description=_SENTENCES[claim], blocking=True)
        for claim in OF_CUSTOMERS
    ]

    @dg.multi_asset_check(name=f"{name}_gate", specs=specs)
    def gate(
        lake: dg.ResourceParam[Lake],
        registries: dg.ResourceParam[Registries],
        tenant_clocks: dg.ResourceParam[TenantClocks],
    ) -> Iterator[dg.AssetCheckResult]:
        """Weigh the challenger, write the verdict on its version, and show every claim with its numbers."""
        from assets.steps import customer_gate

        registry = registries.of(name)
        with refusals.final():
            weighed = customer_gate.weigh(name, lake, registry, tenant_clocks.now())
        for claim in OF_CUSTOMERS:
            held = all(finding.held for finding in weighed.verdict.of(claim))
            shown = described.weighed(weighed, claim, registry)
            yield dg.AssetCheckResult(passed=held, check_name=claim.value, asset_key=asset, metadata=shown)

    return gate


lifetime_value_gate = _checks("lifetime_value")
churn_gate = _checks("churn")
