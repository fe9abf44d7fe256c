"""The champion at work: is it right on what came of its decisions, and if not, who decides instead."""

import dagster as dg

from adapters.bundle_shelf import BundleShelf
from adapters.clock import Clock
from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from adapters.postgres.model_audit import ModelAudit
from adapters.postgres.model_outcomes import ModelOutcomes
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import AGAIN
from assets.features import OWNERS


@dg.asset(
    group_name="watch",
    owners=OWNERS,
    kinds={"postgres", "parquet"},
    metadata={"dagster/column_schema": tables.LIVE_QUALITY, "dagster/table_name": "lake.out_engagement_live_quality"},
    retry_policy=AGAIN,
)
def out_engagement_live_quality(
    lake: dg.ResourceParam[Lake],
    model_registry: dg.ResourceParam[ModelRegistry],
    model_outcomes: dg.ResourceParam[ModelOutcomes],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """What each version predicted beside what came of it, by day and slice, with the watch over the champion."""
    from assets.steps import watching

    with refusals.final():
        seen = watching.look(lake, model_registry, model_outcomes, tenant_clocks.now())
    shown = described.whole(seen.written) | described.watched(seen)
    return dg.MaterializeResult(data_version=dg.DataVersion(seen.written.digest), metadata=shown)


@dg.asset(group_name="watch", owners=OWNERS, kinds={"mlflow"}, deps=[out_engagement_live_quality], retry_policy=AGAIN)
def engagement_rollback(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    model_registry: dg.ResourceParam[ModelRegistry],
    bundle_shelf: dg.ResourceParam[BundleShelf],
    model_audit: dg.ResourceParam[ModelAudit],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """After an alarm the version before decides again; the one that was wrong is never promoted a second time."""
    from assets.steps import watching

    with refusals.final():
        done = watching.roll_back(lake, model_registry, bundle_shelf, model_audit, at=clock.real())
    if done.back_to is not None:
        told = (done.version, done.back_to.version, done.reason)
        context.log.warning("model.rolled_back from=%s to=%s reason=%s", *told)
    return dg.MaterializeResult(metadata=described.rolled_back(done, model_registry))
