"""Habits of recipients: their rows online, and the models that read them, each judged before it decides."""

from collections.abc import Sequence

import dagster as dg

from adapters.bundle_shelf import BundleShelves
from adapters.clock import Clock
from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from adapters.model_registry import Registries
from adapters.postgres.learning_facts import LearningFacts
from adapters.tenant_clocks import TenantClocks
from assets import described, refusals, tables
from assets.events import AGAIN
from assets.features import OWNERS

NAMES = {
    "send_time": "At which hours recipients are there: ways to spend a week, and how much they count beside one's own.",
    "channel_value": "How often messages are answered by channel, and how much that counts beside one's own answers.",
    "fatigue": "How fast weariness of messages goes and what it does to answers; the prior where too little is known.",
}
"""The models that decisions read, with what each says."""
VOLUME = "volume"
VOLUME_SENTENCE = (
    "What a week with so many messages is worth, by how active people are; scores suggest each one's week."
)


@dg.asset(
    group_name="habits",
    owners=OWNERS,
    kinds={"parquet"},
    deps=["raw_engagement_events"],
    metadata={"dagster/column_schema": tables.HABITS, "dagster/table_name": "lake.core_recipient_habits"},
    retry_policy=AGAIN,
)
def core_recipient_habits(
    lake: dg.ResourceParam[Lake],
    learning_facts: dg.ResourceParam[LearningFacts],
    tenant_clocks: dg.ResourceParam[TenantClocks],
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per recipient who allows it: decayed hours of activity, and answers by channel."""
    from assets.steps import habit_rows

    facts, nows = learning_facts.read(), tenant_clocks.now()
    with refusals.final():
        written = habit_rows.write(lake, habit_rows.rows(habit_rows.gather(lake, facts, nows), nows))
    return dg.MaterializeResult(data_version=dg.DataVersion(written.digest), metadata=described.whole(written))


@dg.asset(
    group_name="habits", owners=OWNERS, kinds={"feast", "redis"}, deps=[core_recipient_habits], retry_policy=AGAIN
)
def online_recipient_habits(
    lake: dg.ResourceParam[Lake], feature_store: dg.ResourceParam[FeatureStore]
) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """One row per recipient: the same, as decisions read it."""
    from assets.steps import habit_rows

    with refusals.final():
        rows = lake.read(habit_rows.TABLE).to_pandas()
    feature_store.write_habits(rows)
    return dg.MaterializeResult(metadata={"dagster/row_count": dg.MetadataValue.int(len(rows))})


def model(name: str, sentence: str, group: str = "habits") -> dg.AssetsDefinition:
    """Return the asset that fits one of ``habit_models.FITS``; ``sentence`` is what it says."""

    @dg.asset(
        name=f"{name}_model",
        description=sentence,
        group_name=group,
        owners=OWNERS,
        kinds={"scipy", "mlflow"},
        deps=["raw_engagement_events"],
        retry_policy=AGAIN,
    )
    def made(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        registries: dg.ResourceParam[Registries],
        learning_facts: dg.ResourceParam[LearningFacts],
        tenant_clocks: dg.ResourceParam[TenantClocks],
    ) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
        from assets.steps import habit_models

        registry, facts, nows = registries.of(name), learning_facts.read(), tenant_clocks.now()
        lineage = described.lineage(context.run.run_id, context.asset_key, context.run.tags)
        with refusals.final():
            done = habit_models.fit_and_register(name, lake, registry, facts=facts, nows=nows, lineage=lineage)
        return dg.MaterializeResult(metadata=described.model(done.version, registry, done.metrics, done.figures))

    return made


BETTER = "It tells the last days better than one answer for everybody, and no worse than the champion."


def check(name: str, claim: str = "beats_the_rest", sentence: str = BETTER) -> dg.AssetChecksDefinition:
    """Return the check that reads what the fit was found to be worth; ``sentence`` says what that has to be."""

    @dg.asset_check(
        name=f"{name}_{claim}",
        asset=f"{name}_model",
        blocking=True,
        description=sentence,
    )
    def weighed(registries: dg.ResourceParam[Registries]) -> dg.AssetCheckResult:
        from assets.steps import habit_models

        with refusals.final():
            version, reason = habit_models.verdict(registries.of(name))
        told = {"mlflow_model_version": dg.MetadataValue.text(version.version)}
        why = {described.WHY: dg.MetadataValue.text(reason)} if reason else {}
        return dg.AssetCheckResult(passed=not reason, metadata={**told, **why})

    return weighed


def champion(name: str, group: str = "habits") -> dg.AssetsDefinition:
    """Return the asset that lets the checked version serve."""

    @dg.asset(
        name=f"{name}_champion",
        description="The version that serves: its signed bundle is on disk before the alias champion names it.",
        group_name=group,
        owners=OWNERS,
        kinds={"mlflow"},
        deps=[f"{name}_model"],
        retry_policy=AGAIN,
    )
    def promoted(
        registries: dg.ResourceParam[Registries],
        bundle_shelves: dg.ResourceParam[BundleShelves],
        clock: dg.ResourceParam[Clock],
    ) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
        from assets.steps import habit_models

        registry = registries.of(name)
        with refusals.final():
            version = habit_models.promote(registry, bundle_shelves, created_at=clock.real())
        return dg.MaterializeResult(metadata=described.model(version, registry, {}, {}))

    return promoted


ASSETS: Sequence[dg.AssetsDefinition] = (
    core_recipient_habits,
    online_recipient_habits,
    *(made for name, sentence in NAMES.items() for made in (model(name, sentence), champion(name))),
    model(VOLUME, VOLUME_SENTENCE, VOLUME),
    champion(VOLUME, VOLUME),
)
CHECKS: Sequence[dg.AssetChecksDefinition] = tuple(check(name) for name in (*NAMES, VOLUME))
