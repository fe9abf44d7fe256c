"""Registers, weighs and promotes the habit models by the path of every model: card, picture, gate, bundle, alias.

The same habits are fitted once. The gate's word is written on the version when it is registered; the check reads it,
and no version without it is ever published.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.bundle_shelf import BundleShelves
from adapters.feature_store import HABITS
from adapters.lake import Lake
from adapters.model_registry import CHALLENGER, CHAMPION, SHADOW, DataSet, ModelRegistry, Training, Version
from adapters.postgres.learning_facts import Facts
from assets.steps import habit_fit, habit_fits, habit_rows, leaving_fit, publishing, volume_fit, weariness_fit
from assets.steps.habit_fit import Files, Fit
from assets.steps.habit_rows import Habits
from assets.steps.publishing import (
    AGAINST,
    METRICS,
    NOBODY,
    PASSED,
    REASONS,
    SERVICE,
    SNAPSHOT,
    NothingToPromote,
    NotPromoted,
)
from models.channel_value import registered as channels
from models.fatigue import registered as weariness
from models.opt_out import registered as leaving
from models.promotion.card import Card
from models.send_time import registered as hours
from models.volume import registered as volume

FITS: Mapping[str, Callable[[Habits, Files | None], Fit]] = {
    hours.NAME: habit_fits.send_time,
    channels.NAME: habit_fits.channel_value,
    weariness.NAME: weariness_fit.fatigue,
    volume.NAME: volume_fit.volume,
    leaving.NAME: leaving_fit.opt_out,
}
TOLD = {
    hours.NAME: ("how active a recipient is at an hour of the week", "Chooses the hour of a message that may wait."),
    channels.NAME: ("the chance that a message is answered", "Compares channels for a recipient."),
    weariness.NAME: ("the chance of an open of somebody weary of messages", "Lets tired recipients rest."),
    volume.NAME: ("hours of activity in a week with so many messages, less what leaving costs", "Suggests volume."),
    leaving.NAME: (
        "the chance that a message makes somebody leave its channel",
        "Tells what a message risks.",
    ),
}
"""What each model predicts, and what it is for."""


@dataclass(frozen=True)
class Made:
    """A registered version with its numbers and pictures; pictures are empty when it was registered before."""

    version: Version
    metrics: Mapping[str, float]
    figures: Mapping[str, bytes]


def fit_and_register(
    name: str, lake: Lake, registry: ModelRegistry, *, facts: Facts, nows: Mapping[str, datetime],
    lineage: Mapping[str, str],
) -> Made:  # fmt: skip
    """Fit one habit model, judge it on the last days, and let it stand as challenger.

    Raises:
        NotEnoughData: too few people or messages; says what was found and what is needed.
        RegistryUnavailable: MLflow does not answer.
    """
    habits = habit_rows.gather(lake, facts, nows)
    snapshot = habit_fit.digest(habits)
    known, champion = registry.version(CHALLENGER), registry.version(CHAMPION)
    if known is not None and known.tags.get(SNAPSHOT) == snapshot and _is_judged_by(known, champion):
        return Made(known, json.loads(known.tags[METRICS]), {})
    fit = FITS[name](habits, registry.files(champion) if champion is not None else None)
    against = champion.version if champion is not None else NOBODY
    training = _training(name, fit, snapshot, {AGAINST: against, **lineage})
    data = DataSet(fit.rows, f"{name}_habits", str(lake.root / habit_rows.TABLE), snapshot, "label")
    version = registry.log(training, data, run_name=name)
    registry.set_alias(CHALLENGER, version)
    return Made(version, fit.metrics, fit.figures)


def _is_judged_by(known: Version, champion: Version | None) -> bool:
    """Tell whether a challenger is the champion, or was held to it."""
    against = champion.version if champion is not None else NOBODY
    return against in (known.version, known.tags.get(AGAINST))


def _training(name: str, fit: Fit, snapshot: str, lineage: Mapping[str, str]) -> Training:
    target, purpose = TOLD[name]
    card = Card(
        name=name,
        purpose=purpose,
        limits=fit.limits,
        target=target,
        features=fit.features,
        data={"snapshot": snapshot},
        metrics=fit.metrics,
    )
    told = {key: round(number, 6) for key, number in sorted(fit.metrics.items())}
    tags = {
        SNAPSHOT: snapshot,
        METRICS: json.dumps(told),
        SERVICE: HABITS,
        PASSED: str(not fit.refusal).lower(),
        REASONS: fit.refusal,
        **lineage,
    }
    return Training(
        files=fit.files,
        features=fit.features,
        params=fit.params,
        metrics=fit.metrics,
        figures=fit.figures,
        reports={"card.md": card.markdown()},
        tags=tags,
        scorer=fit.scorer,
    )


def verdict(registry: ModelRegistry) -> tuple[Version, str]:
    """Return the challenger and why it may not decide, empty where it may; one that may stands as shadow.

    Raises:
        NothingToPromote: there is no challenger.
    """
    challenger = registry.version(CHALLENGER)
    if challenger is None:
        raise NothingToPromote(f"no version of {registry.model} is the challenger; materialize its model first")
    reason = "" if challenger.tags.get(PASSED) == "true" else challenger.tags.get(REASONS) or "it was not weighed"
    if not reason and not _is_judged_by(challenger, registry.version(CHAMPION)):
        reason = f"it was weighed against version {challenger.tags.get(AGAINST)}, which is not the champion now"
    if not reason:
        registry.set_alias(SHADOW, challenger)
    return challenger, reason


def promote(registry: ModelRegistry, shelves: BundleShelves, *, created_at: datetime) -> Version:
    """Publish the challenger's signed bundle, then let it be the champion; doing it again changes nothing.

    Raises:
        NothingToPromote: there is no challenger.
        NotPromoted: it has not passed the gate.
    """
    challenger, reason = verdict(registry)
    if reason:
        raise NotPromoted(f"version {challenger.version} of {registry.model} has not passed the gate: {reason}")
    info = publishing.bundle_info(challenger, created_at=created_at)
    shelves.of(registry.model).publish(info, registry.files(challenger))
    publishing.succeed(registry, challenger, registry.version(CHAMPION))
    return challenger
