"""From checked events to the champion: training set, fitted model, the model that serves, and how it does."""

from datetime import datetime

import dagster as dg

from adapters.bundle_shelf import BundleShelf
from adapters.clock import Clock
from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from adapters.model_staging import ModelStaging
from adapters.postgres.learning_facts import LearningFacts
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import AGAIN, NIGHTLY
from assets.features import OWNERS, core_recipient_engagement_daily

SEED = 20_170_101
"""Default seed of a fit; another gives another, equally good model."""


class FitConfig(dg.Config):
    """How a model is fitted; the defaults are right at night."""

    cut: str | None = None
    """Moment with offset that divides training from test; unset judges on the latest quarter of the rows."""
    seed: int = SEED

    def moment(self) -> datetime | None:
        """Return the cut.

        Raises:
            Failure: it is no moment with an offset.
        """
        if self.cut is None:
            return None
        try:
            moment = datetime.fromisoformat(self.cut)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise dg.Failure(
                "cut: expected a moment with an offset, such as 2017-10-01T00:00:00-04:00", allow_retries=False
            )
        return moment


@dg.asset(
    group_name="training",
    owners=OWNERS,
    kinds={"feast", "duckdb", "parquet"},
    deps=["raw_engagement_events", core_recipient_engagement_daily],
    metadata={"dagster/column_schema": tables.TRAINING, "dagster/table_name": "lake.out_engagement_training_set"},
    freshness_policy=NIGHTLY,
    retry_policy=AGAIN,
)
def out_engagement_training_set(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    feature_store: dg.ResourceParam[FeatureStore],
    learning_facts: dg.ResourceParam[LearningFacts],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per message sent with consent: features known before it, what came of it, and whether that is final."""
    from assets.steps import training_rows

    facts, nows = learning_facts.read(), tenant_clocks.now()
    with refusals.final():
        made = training_rows.training_rows(lake, feature_store, facts=facts, nows=nows, report=context.log.info)
    written = training_rows.write(lake, made)
    shown = described.whole(written) | described.numbers(made.counts)
    return dg.MaterializeResult(data_version=dg.DataVersion(written.digest), metadata=shown)


@dg.asset(
    group_name="training",
    owners=OWNERS,
    kinds={"xgboost", "mlflow"},
    deps=[out_engagement_training_set],
    freshness_policy=NIGHTLY,
    retry_policy=AGAIN,
)
def engagement_model(
    context: dg.AssetExecutionContext,
    config: FitConfig,
    lake: dg.ResourceParam[Lake],
    model_registry: dg.ResourceParam[ModelRegistry],
    model_staging: dg.ResourceParam[ModelStaging],
    training_device: dg.ResourceParam[str],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """The calibrated booster, fitted on the earlier rows and judged on the later ones, registered as challenger."""
    from assets.steps import publishing

    lineage = described.lineage(context.run.run_id, context.asset_key, context.run.tags)
    bench = publishing.Bench(lake, model_registry, model_staging, training_device, clock.real())
    with refusals.final():
        made = publishing.fit_and_register(
            bench, cut=config.moment(), seed=config.seed, lineage=lineage, report=context.log.info
        )
    return dg.MaterializeResult(metadata=described.model(made.version, model_registry, made.metrics, made.figures))


@dg.asset(
    group_name="training",
    owners=OWNERS,
    kinds={"mlflow", "feast"},
    deps=[engagement_model],
    freshness_policy=NIGHTLY,
    retry_policy=AGAIN,
)
def engagement_champion(
    model_registry: dg.ResourceParam[ModelRegistry],
    bundle_shelf: dg.ResourceParam[BundleShelf],
    feature_store: dg.ResourceParam[FeatureStore],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """The version that serves: its signed bundle is on disk before the alias champion names it."""
    from assets.steps import publishing

    with refusals.final():
        version = publishing.promote(model_registry, bundle_shelf, feature_store, created_at=clock.real())
    return dg.MaterializeResult(metadata=described.model(version, model_registry, {}, {}))


@dg.asset(
    group_name="training",
    owners=OWNERS,
    kinds={"xgboost", "parquet"},
    deps=[engagement_champion, out_engagement_training_set],
    metadata={"dagster/column_schema": tables.HOLDOUT, "dagster/table_name": "lake.out_engagement_holdout"},
    freshness_policy=NIGHTLY,
    retry_policy=AGAIN,
)
def out_engagement_holdout(
    lake: dg.ResourceParam[Lake], model_registry: dg.ResourceParam[ModelRegistry]
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per message of the test period: the champion's score beside what came of it."""
    from assets.steps import publishing

    with refusals.final():
        written, judged = publishing.hold_out(lake, model_registry)
    shown = described.whole(written) | described.numbers(judged.metrics)
    return dg.MaterializeResult(data_version=dg.DataVersion(written.digest), metadata=shown)
