"""Models of customers: what they will spend and whether they have left, registered, weighed and promoted like any."""

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import ModelRegistry, Registries
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals
from assets.events import AGAIN
from assets.features import OWNERS


def _model(name: str, sentence: str) -> dg.AssetsDefinition:
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
        return dg.MaterializeResult(metadata=described.model(done.version, registry, done.metrics, done.figures))

    return made


def _champion(name: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{name}_champion",
        description="The version that scores customers: the challenger, once every check of it has passed.",
        group_name="customers",
        owners=OWNERS,
        kinds={"mlflow"},
        deps=[f"{name}_model"],
        retry_policy=AGAIN,
    )
    def made(registries: dg.ResourceParam[Registries]) -> dg.MaterializeResult:  # type: ignore[type-arg] # no value
        from assets.steps import customer_gate

        registry: ModelRegistry = registries.of(name)
        with refusals.final():
            version = customer_gate.promote(registry)
        return dg.MaterializeResult(metadata=described.model(version, registry, {}, {}))

    return made


lifetime_value_model = _model("lifetime_value", "What each customer will spend in 30 days, registered as challenger.")
churn_model = _model("churn", "The chance that each customer has left, registered as challenger.")
lifetime_value_champion = _champion("lifetime_value")
churn_champion = _champion("churn")
