"""The search for hyper-parameters: run by hand and bounded; every trial is a run in MLflow."""

import dagster as dg

from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from assets import described, refusals
from assets.features import OWNERS
from assets.training import FitConfig


class SearchConfig(FitConfig):
    """How long is searched, and from where."""

    trials: int = 40
    seconds: float = 1_800.0


@dg.asset(group_name="search", owners=OWNERS, kinds={"optuna", "mlflow"}, deps=["out_engagement_training_set"])
def engagement_parameters(
    context: dg.AssetExecutionContext,
    config: SearchConfig,
    lake: dg.ResourceParam[Lake],
    model_registry: dg.ResourceParam[ModelRegistry],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """The hyper-parameters with the least log-loss on rolling origins before the cut, beside those in use."""
    from assets.steps import searching

    tags = described.lineage(context.run.run_id, context.asset_key, context.run.tags)
    with refusals.final():
        found = searching.find(
            lake,
            model_registry,
            cut=config.moment(),
            seed=config.seed,
            trials=config.trials,
            seconds=config.seconds,
            tags=tags,
        )
    return dg.MaterializeResult(metadata=described.searched(found))
