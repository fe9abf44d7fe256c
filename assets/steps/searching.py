"""Searches the engagement model's hyper-parameters on rolling origins inside the training period."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from adapters.parameter_search import Range, Trial, search
from assets.steps import fitting, training_rows
from models.engagement import dataset, spec, train
from models.engagement.spec import NotEnoughData, Params
from models.promotion.rows import Scored

SPACE = {
    "rounds": Range(50, 600, whole=True, log=True),
    "learning_rate": Range(0.01, 0.1, log=True),
    "max_depth": Range(1, 4, whole=True),
    "min_child_weight": Range(1, 30, log=True),
    "subsample": Range(0.5, 1.0),
    "colsample": Range(0.1, 1.0),
    "reg_lambda": Range(0.5, 30, log=True),
}
ORIGINS = (0.6, 0.8)
"""Shares of the training rows behind each origin; what follows it is predicted."""
_WHOLE = ("rounds", "max_depth")


@dataclass(frozen=True)
class Found:
    """What a search found, beside what is used now."""

    trials: tuple[Trial, ...]
    best: Params
    loss: float
    loss_now: float
    run_id: str


def find(
    lake: Lake,
    registry: ModelRegistry,
    *,
    cut: datetime | None,
    seed: int,
    trials: int,
    seconds: float,
    tags: Mapping[str, str],
) -> Found:
    """Search, and log every trial as a run inside one run.

    Raises:
        NotEnoughData: no origin has enough rows on both sides.
        RegistryUnavailable: MLflow does not answer.
    """
    rows = lake.read(training_rows.TABLE).to_pandas()
    known = dataset.time_split(rows, at=cut or fitting.default_cut(rows)).train
    known = known[fitting.closed(known)].sort_values(training_rows.DECIDED_AT, ignore_index=True)
    origins = [origin for share in ORIGINS if (origin := _origin(known, share)) is not None]
    if not origins:
        raise NotEnoughData("rows of the training period before an origin", have=len(known), need=2 * spec.MIN_ROWS)

    def loss(params: Mapping[str, float]) -> float:
        return float(np.mean([_loss(known, at, _params(params), seed) for at in origins]))

    first = {name: float(number) for name, number in asdict(spec.PARAMS).items()}
    done = search(loss, SPACE, first=first, trials=trials, seconds=seconds, seed=seed)
    best = min(done, key=lambda trial: (trial.loss, trial.number))
    run_id = registry.log_search(
        f"{spec.NAME}:search", [(each.params, each.loss) for each in done], params=best.params, tags=tags
    )
    return Found(tuple(done), _params(best.params), best.loss, done[0].loss, run_id)


def _origin(rows: pd.DataFrame, share: float) -> datetime | None:
    """Return the moment behind which about this share of rows lies, or None where a side has too few."""
    at = pd.Timestamp(rows[training_rows.DECIDED_AT].iloc[int(len(rows) * share)]).to_pydatetime()
    split = dataset.time_split(rows, at=at)
    enough = all(
        len(part) >= spec.MIN_ROWS and part[spec.LABEL].sum() >= spec.MIN_POSITIVES
        for part in (split.train, split.test)
    )
    return at if enough else None


def _loss(rows: pd.DataFrame, at: datetime, params: Params, seed: int) -> float:
    split = dataset.time_split(rows, at=at)
    vocabularies = dataset.vocabularies(split.train)
    before, after = (fitting.prepared(part, vocabularies) for part in (split.train, split.test))
    p = train.fit(before, params=params, seed=seed).predict(after.matrix)
    return float(Scored.of(after.label, p, after.recipient).loss.mean())


def _params(found: Mapping[str, float]) -> Params:
    told = {name: int(number) if name in _WHOLE else float(number) for name, number in found.items()}
    return Params(**told)  # type: ignore[arg-type] # whole where the field is whole
