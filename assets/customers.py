"""Models of customers: what they will spend and whether they have left, registered and promoted like every model."""

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import ModelRegistry, Registries
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals
from assets.events import AGAIN
from assets.features import OWNERS


def _asset(name: str, sentence: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{name}_model",
        description=sentence,
        group_name="customers",
        owners=OWNERS,
        kinds={"scipy", "mlflow"},
        deps=["raw_engagement_events"],
        retry_policy=AGAIN,
    )
    def made(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        registries: dg.ResourceParam[Registries],
        tenant_clocks: dg.ResourceParam[TenantClocks],
    ) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
        from assets.steps import customer_models

        registry: ModelRegistry = registries.of(name)
        lineage = described.lineage(context.run.run_id, context.asset_key, context.run.tags)
        with refusals.final():
            done = customer_models.fit_and_register(name, lake, registry, tenant_clocks.now(), lineage)
        shown = described.model(done.version, registry, done.metrics, done.figures)
        return dg.MaterializeResult(metadata={**shown, **described.promoted(done.is_champion, done.reason)})

    return made


lifetime_value_model = _asset(
    "lifetime_value", "What each customer will spend in 30 days, champion where purchases came as expected."
)
churn_model = _asset("churn", "The chance that each customer has left, champion where purchases came as expected.")
