"""How people behave: groups of those who behave alike, published where stable, and days out of the ordinary."""

from collections.abc import Sequence

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import Registries
from adapters.postgres.learning_facts import LearningFacts
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import AGAIN
from assets.features import OWNERS

CLUSTERS = "clusters"


@dg.asset(
    group_name="behaviour",
    owners=OWNERS,
    kinds={"numpy", "mlflow"},
    deps=["core_recipient_habits"],
    retry_policy=AGAIN,
)
def clusters_model(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registries: dg.ResourceParam[Registries],
    learning_facts: dg.ResourceParam[LearningFacts],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """Groups of recipients who are active alike, registered as challenger; too few people is an answer."""
    from assets.steps import cluster_models

    registry, facts, nows = registries.of(CLUSTERS), learning_facts.read(), tenant_clocks.now()
    lineage = described.lineage(context.run.run_id, context.asset_key, context.run.tags)
    with refusals.final():
        made = cluster_models.fit_and_register(lake, registry, facts=facts, nows=nows, lineage=lineage)
    return dg.MaterializeResult(
        metadata=described.maybe_model(made.version, registry, made.metrics, made.figures, why=made.why)
    )


@dg.asset_check(
    asset=clusters_model,
    blocking=True,
    description="Other samples of the same people give the challenger's clusters again; of none, nothing is wrong.",
)
def clusters_are_stable(registries: dg.ResourceParam[Registries]) -> dg.AssetCheckResult:
    """Say how stable the challenger is."""
    from assets.steps import cluster_models

    registry = registries.of(CLUSTERS)
    challenger, why = cluster_models.verdict(registry)
    numbers = cluster_models.numbers(challenger)
    return dg.AssetCheckResult(
        passed=challenger is None or not why,
        metadata=described.maybe_model(challenger, registry, numbers, {}, why=why),
    )


@dg.asset(group_name="behaviour", owners=OWNERS, kinds={"mlflow"}, deps=[clusters_model], retry_policy=AGAIN)
def clusters_champion(registries: dg.ResourceParam[Registries]) -> dg.MaterializeResult:  # type: ignore[type-arg] # no value
    """The version that sorts recipients: the challenger, once its check has passed; until then the one before."""
    from assets.steps import cluster_models

    registry = registries.of(CLUSTERS)
    version, why = cluster_models.promote(registry)
    return dg.MaterializeResult(metadata=described.maybe_model(version, registry, {}, {}, why=why))


@dg.asset(
    group_name="behaviour",
    owners=OWNERS,
    kinds={"numpy", "parquet"},
    deps=["core_recipient_habits", clusters_champion],
    metadata={"dagster/column_schema": tables.CLUSTERS, "dagster/table_name": "lake.out_recipient_clusters"},
    retry_policy=AGAIN,
)
def recipient_clusters(
    lake: dg.ResourceParam[Lake],
    registries: dg.ResourceParam[Registries],
    learning_facts: dg.ResourceParam[LearningFacts],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per recipient who allows it: their cluster by the champion, and how far from its middle they are."""
    from assets.steps import cluster_models

    registry, facts, nows = registries.of(CLUSTERS), learning_facts.read(), tenant_clocks.now()
    with refusals.final():
        done = cluster_models.sort_everybody(lake, registry, facts=facts, nows=nows)
    return dg.MaterializeResult(data_version=dg.DataVersion(done.written.digest), metadata=described.clusters(done))


@dg.asset(
    group_name="behaviour",
    owners=OWNERS,
    kinds={"numpy", "parquet"},
    deps=["raw_engagement_events"],
    metadata={"dagster/column_schema": tables.ANOMALIES, "dagster/table_name": "lake.out_anomalies"},
    retry_policy=AGAIN,
)
def anomaly_report(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    learning_facts: dg.ResourceParam[LearningFacts],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """Recipients whose day was too full for them, and hours at which a tenant left its week; one row for each."""
    from assets.steps import anomalies

    days, facts, nows = described.dates(context.partition_keys), learning_facts.read(), tenant_clocks.now()
    with refusals.final():
        made = anomalies.report_days(lake, days, facts=facts, nows=nows)
    for day, (report, one) in made.items():
        context.add_asset_metadata(described.day(one), partition_key=day.isoformat())
        for alarm in report.alarms:
            context.log.warning("anomaly.left_its_week tenant=%s at=%s deviation=%.1f", *alarm)
    written = {day: one for day, (_, one) in made.items()}
    shown = described.days(written) | described.anomalies([report for report, _ in made.values()])
    return dg.MaterializeResult(data_version=described.version(written), metadata=shown)


ASSETS: Sequence[dg.AssetsDefinition] = (clusters_model, clusters_champion, recipient_clusters, anomaly_report)
CHECKS: Sequence[dg.AssetChecksDefinition] = (clusters_are_stable,)
