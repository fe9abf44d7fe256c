"""Scores for the permitted channels of a batch of decisions: features read once, one matrix, one prediction.

What cannot be scored is said, with the rung of the fallback ladder it leaves the decision on; nothing is guessed.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from adapters.feature_store import FeatureStoreUnavailable
from domain.gates import Screened, Situation, may_use_opens
from domain.ingest import local_time
from domain.values import Channel
from feature_repo.engagement import catalog
from feature_repo.engagement.at_read import AS_OF, Freshness, ReadRows, at_read
from serving import habits
from serving.breakers import Breaker, Open
from serving.habits import Habit
from serving.logs import places

log = structlog.get_logger("kairos.scoring")

RULES = "rules"
STALE_FEATURES = "stale_features"
MISSING_FEATURES = "missing_features"
FEATURES_UNAVAILABLE = "features_unavailable"
NO_TIME = "deadline"
"""Nothing was left of the service level's time when features were to be read."""


class Scores(Protocol):
    """What a scorer offers."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the matrix' columns, in order."""

    @property
    def vocabularies(self) -> Mapping[str, Sequence[str]]:
        """Known values of the features that are names."""

    def score(self, matrix: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
        """Return a probability per row."""


class Features(Protocol):
    """What the online store offers."""

    def online(
        self, tenant: str, recipient_ids: Sequence[str], *, seconds: float | None = None
    ) -> Mapping[str, Sequence[Any]]:
        """Return stored features as columns, one value per recipient, within so many seconds."""


class Model(Protocol):
    """A loaded model version."""

    @property
    def name(self) -> str:
        """Registered name."""

    @property
    def version(self) -> str:
        """Registered version."""

    @property
    def digest(self) -> str:
        """SHA-256 of its bundle's manifest."""

    @property
    def run_id(self) -> str:
        """The run that trained it."""

    @property
    def feature_service(self) -> str:
        """The features it reads."""

    @property
    def scorer(self) -> Scores:
        """Scores rows."""

    @property
    def store(self) -> Features:
        """Reads its features."""


def facts_of(model: Model) -> dict[str, str]:
    """Return what a record keeps of a model."""
    return {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "run_id": model.run_id,
        "feature_service": model.feature_service,
    }


@dataclass(frozen=True)
class ToScore:
    """One decision that has permitted channels and whose recipient allows personalization."""

    recipient_id: str
    situation: Situation
    screened: Screened


@dataclass(frozen=True)
class Scored:
    """What the model said, or which rung answers instead.

    ``p_convert`` is None when rules must answer; then ``degraded`` says why. ``habit`` is read with the features and
    needs no model to speak.
    """

    p_convert: Mapping[Channel, float] | None
    degraded: str | None
    features: Mapping[str, Mapping[str, float | None]] | None = None
    as_of: Mapping[str, str | None] | None = None
    habit: Habit | None = None


def score(
    model: Model | None,
    tenant: str,
    asked: Sequence[ToScore],
    *,
    seconds: float | None = None,
    breaker: Breaker | None = None,
) -> list[Scored]:
    """Return the scores of each decision, in the order given.

    Args:
        model: None when none is loaded.
        tenant: whose recipients these are.
        asked: the decisions.
        seconds: what is left for reading features; None is the store's own limit.
        breaker: of the online features; without it they are asked each time.
    """
    if model is None:
        return [Scored(None, RULES)] * len(asked)
    if not asked:
        return []
    if seconds is not None and seconds <= 0:
        return [Scored(None, NO_TIME)] * len(asked)
    try:
        with breaker.calling() if breaker is not None else nullcontext():
            read = model.store.online(tenant, [each.recipient_id for each in asked], seconds=seconds)
        stored, known = _usable(habits.without(read), asked), habits.of(read, asked)
        rows = _rows(model.scorer, stored, asked)
        p = model.scorer.score(rows.matrix)
    except (FeatureStoreUnavailable, Open):
        return [Scored(None, FEATURES_UNAVAILABLE)] * len(asked)
    except Exception as error:  # noqa: BLE001 - whatever a model makes us raise, rules can still decide, and say so
        log.error(  # noqa: TRY400 - the exception's text may quote somebody's data
            "score.failed", model=model.version, error=type(error).__name__, at=places(error.__traceback__)
        )
        return [Scored(None, RULES)] * len(asked)
    return [
        replace(one, habit=habit, as_of={**(one.as_of or {}), **habits.as_of(habit)})
        for one, habit in zip(_unstacked(rows, p, stored, asked), known, strict=True)
    ]


def _usable(stored: Mapping[str, Sequence[Any]], asked: Sequence[ToScore]) -> dict[str, list[Any]]:
    """Return stored features without what stands on opens, for everybody whose opens may not be used."""
    barred = [not may_use_opens(each.situation) for each in asked]
    tracked = catalog.of_opens()
    return {
        name: [None if bar else value for value, bar in zip(values, barred, strict=True)]
        if name in tracked
        else list(values)
        for name, values in stored.items()
    }


def _rows(scorer: Scores, stored: Mapping[str, Sequence[Any]], asked: Sequence[ToScore]) -> ReadRows:
    """Stack one row for each permitted channel of each decision."""
    places = [place for place, each in enumerate(asked) for _ in each.screened.permitted]
    repeated = {name: [values[place] for place in places] for name, values in stored.items()}
    decisions: dict[str, list[Any]] = {name: [] for name in _MOMENT}
    for each in asked:
        hour, day = local_time(each.situation.now, each.situation.zone)
        for channel in each.screened.permitted:
            row = (each.situation.now, each.situation.definition.type, channel.value, hour, day)
            for name, value in zip(_MOMENT, row, strict=True):
                decisions[name].append(value)
    return at_read(repeated, decisions, features=scorer.features, vocabularies=scorer.vocabularies)


_MOMENT = ("decided_at", "message_type", "channel", "local_hour_of_week", "local_date")


def _unstacked(
    rows: ReadRows, p: npt.NDArray[np.float64], stored: Mapping[str, Sequence[Any]], asked: Sequence[ToScore]
) -> list[Scored]:
    scored, start = [], 0
    for place, each in enumerate(asked):
        stretch = range(start, start + len(each.screened.permitted))
        start = stretch.stop
        worst = _worst(rows, stretch)
        as_of = {name: _iso(stored[name][place]) for name in AS_OF.values() if name in stored}
        if worst is Freshness.MISSING:
            scored.append(Scored(None, MISSING_FEATURES, as_of=as_of))
            continue
        channels = each.screened.permitted
        scored.append(
            Scored(
                {channel: float(p[row]) for channel, row in zip(channels, stretch, strict=True)},
                STALE_FEATURES if worst is Freshness.STALE else None,
                {channel.value: _named(rows, row) for channel, row in zip(channels, stretch, strict=True)},
                as_of,
            )
        )
    return scored


def _worst(rows: ReadRows, stretch: range) -> Freshness:
    found = {values[row] for values in rows.freshness.values() for row in stretch}
    return next((each for each in (Freshness.MISSING, Freshness.STALE) if each in found), Freshness.FRESH)


def _named(rows: ReadRows, row: int) -> dict[str, float | None]:
    values = rows.matrix[row].tolist()
    return {name: None if math.isnan(value) else value for name, value in zip(rows.features, values, strict=True)}


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat())
