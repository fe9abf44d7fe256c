"""The gate of the customers' models: a challenger is held to the last 30 days, to the champion, and to serving."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from adapters.lake import Lake
from adapters.model_registry import CHALLENGER, CHAMPION, ModelRegistry, Version
from assets.refusals import Refusal
from assets.steps import gate_pictures, pictures, publishing
from assets.steps.customer_models import AGAINST, NOBODY, PASSED, PURCHASES, REASONS, purchases
from models.engagement import plots
from models.lifetime_value import gate, score, spec, summary, value
from models.lifetime_value.gate import Judged, Shown
from models.lifetime_value.score import Scorer
from models.lifetime_value.summary import NotEnoughData
from models.promotion import drift
from models.promotion.finding import Claim, Finding, Verdict, unknown
from models.promotion.serving_limits import ROWS_OF_A_DECISION

PSI_LIMIT = 0.5
"""As for engagement: another population, twice over."""
MOST_OF_A_TAG = 4_000
_MOVING = ("frequency", "recency_days", "mean_spend")
"""Features that are compared; the age of customers only says how long they were looked at."""
_HORIZON = timedelta(days=spec.HORIZON_DAYS)
_TRIES = 20


class NotPromoted(Refusal):
    """The challenger has not passed the gate against today's champion, or there is none."""


@dataclass(frozen=True)
class Weighed:
    """A challenger and a champion on the same customers, and whether it may take the other's place."""

    challenger: Version
    champion: Version | None
    verdict: Verdict
    numbers: Mapping[str, float]
    pictures: Mapping[str, bytes]


def weigh(name: str, lake: Lake, registry: ModelRegistry, nows: Mapping[str, datetime]) -> Weighed:
    """Hold a challenger to every condition, and write verdict, numbers and pictures on it.

    Raises:
        NotPromoted: there is no challenger.
        NotEnoughData: too few customers were known before the time held out.
    """
    challenger, champion = _challenger(registry), registry.version(CHAMPION)
    rival = None if champion is None or champion.version == challenger.version else champion
    bought, files = purchases(lake, nows), registry.files(challenger)
    scorer = Scorer.from_files(files)
    judged = judge(name, bought, scorer, Scorer.from_files(registry.files(rival)) if rival else None)
    moved, found = _drift(bought), list(_purchases(challenger))
    found += list(gate.findings(judged)) if judged is not None else [_untold()]
    found += [moved[1], *gate.fit_to_serve(name, show(scorer, files, bought))]
    verdict = Verdict(tuple(found))
    drawn = {"gate/drift.png": gate_pictures.largest(moved[0], title="PSI, then and now", unit="PSI")}
    drawn |= {"gate/held_out.png": _held_out(judged)} if judged is not None else {}
    told = {
        PASSED: str(verdict.passed).lower(),
        AGAINST: champion.version if champion else NOBODY,
        REASONS: "; ".join(verdict.reasons)[:MOST_OF_A_TAG],
    }
    tagged = registry.tag(challenger, told)
    document = {"passed": verdict.passed, "findings": [asdict(one) for one in verdict.findings]}
    registry.attach(tagged, figures=drawn, reports={"gate/verdict.json": document})
    return Weighed(tagged, champion, verdict, _numbers(judged), drawn)


def promote(registry: ModelRegistry) -> Version:
    """Let the challenger be the champion where it passed against today's; doing it again changes nothing.

    Raises:
        NotPromoted: there is no challenger, or it has not passed.
    """
    challenger, champion = _challenger(registry), registry.version(CHAMPION)
    if champion is not None and champion.version == challenger.version:
        return champion
    against = champion.version if champion else NOBODY
    if challenger.tags.get(PASSED) != "true" or challenger.tags.get(AGAINST) != against:
        why = challenger.tags.get(REASONS) or f"it was not weighed against {against}"
        raise NotPromoted(f"version {challenger.version} of {challenger.model} has not passed the gate: {why}")
    publishing.succeed(registry, challenger, champion)
    return challenger


def judge(name: str, bought: pd.DataFrame, final: Scorer, rival: Scorer | None) -> Judged | None:
    """Return what a fit before the last 30 days told of them, beside what came; None where spending cannot be told."""
    cut = _end(bought) - _HORIZON
    known, early = summary.of_purchases(bought, end=cut)
    try:
        told = Scorer(name, value.fit(early)).testable(early)
        mine, theirs = final.testable(early), rival.testable(early) if rival is not None else None
    except NotEnoughData:
        if name == spec.VALUE:
            return None
        raise
    before, _ = summary.of_purchases(bought, end=cut - _HORIZON)
    base = _came(name, bought, before, cut - _HORIZON)
    return Judged(
        name,
        told,
        _came(name, bought, known, cut),
        float(base.mean()) if len(base) and 0 < base.mean() < np.inf else None,
        mine,
        theirs,
    )


def show(scorer: Scorer, files: Mapping[str, bytes], bought: pd.DataFrame) -> Shown:
    """Score sample customers, and take the best time of several tries for the rows of one decision."""
    _, customers = summary.of_purchases(bought, end=_end(bought))
    rows = score.rows(customers)[:ROWS_OF_A_DECISION]
    size = sum(len(body) for body in files.values())
    try:
        scores = scorer.score(rows)
    except ValueError as error:
        return Shown(np.zeros(0), str(error), size, 0.0)
    many, took = np.resize(rows, (ROWS_OF_A_DECISION, rows.shape[1])), []
    for _ in range(_TRIES):
        start = time.perf_counter()
        scorer.score(many)
        took.append(time.perf_counter() - start)
    return Shown(scores, None, size, 1_000 * min(took))


def _challenger(registry: ModelRegistry) -> Version:
    challenger = registry.version(CHALLENGER)
    if challenger is None:
        raise NotPromoted(f"no version of {registry.model} is the challenger; materialize {registry.model}_model first")
    return challenger


def _end(bought: pd.DataFrame) -> pd.Timestamp:
    last: pd.Timestamp = bought["at"].max()
    return last.floor("D") + pd.Timedelta(days=1)


def _came(name: str, bought: pd.DataFrame, who: pd.Index, start: pd.Timestamp) -> np.ndarray:
    """Return what each customer did in the 30 days from a moment on: minor units, or 1 where nothing was bought."""
    then = bought[(bought["at"] >= start) & (bought["at"] < start + _HORIZON)].groupby("recipient_id")
    if name == spec.CHURN:
        return (then.size().reindex(who, fill_value=0) == 0).to_numpy(dtype=np.float64)
    return then["amount"].sum().reindex(who, fill_value=0.0).to_numpy(dtype=np.float64)


def _purchases(challenger: Version) -> Iterator[Finding]:
    """Hold the purchases that came to those expected, as they were counted when the version was registered."""
    ratio = float(challenger.tags[PURCHASES])
    low, high = spec.OBSERVED_EXPECTED
    sentence = f"purchases over expected ones {ratio:.2f}: must lie in {low} to {high}"
    held = low <= ratio <= high
    yield Finding(Claim.CALIBRATED, "purchases", held, ratio, low if ratio < 1 else high, sentence)


def _untold() -> Finding:
    return unknown(Claim.BEATS_CHAMPION, "skill", "too few amounts were known before the last 30 days")


def _drift(bought: pd.DataFrame) -> tuple[dict[str, float], Finding]:
    """Compare customers of the time before the last 30 days with those of as long a time that ends now."""
    end = _end(bought)
    first = bought["at"].min().floor("D")
    then, now = (
        score.rows(summary.of_purchases(some, end=until)[1])
        for some, until in ((bought, end - _HORIZON), (bought[bought["at"] >= first + _HORIZON], end))
    )
    places = [spec.FEATURES.index(name) for name in _MOVING]
    found = drift.by_feature(then[:, places], now[:, places], _MOVING) if len(then) and len(now) else {}
    equal = dict.fromkeys(_MOVING, 1.0)
    return found, drift.finding(found, equal, rows=(len(then), len(now)), limit=PSI_LIMIT)


def _held_out(judged: Judged) -> bytes:
    if judged.name == spec.CHURN:
        return plots.calibration_png(judged.came.astype(np.int8), judged.told)
    fifths = np.array_split(np.argsort(judged.told, kind="stable"), 5)
    bars = {
        f"{place + 1} {kind}": float(numbers[fifth].mean())
        for place, fifth in enumerate(fifths)
        for kind, numbers in (("expected", judged.told), ("came", judged.came))
    }
    return pictures.lying_bars(bars, title="Spending in 30 days by fifth", unit="minor units")


def _numbers(judged: Judged | None) -> dict[str, float]:
    if judged is None:
        return {}
    told = {"customers": float(len(judged.came)), "rank": judged.rank, "loss": float(judged.loss(judged.told).mean())}
    beside = {"champion_loss": float(judged.loss(judged.champion).mean())} if judged.champion is not None else {}
    return told | beside | ({"skill": judged.skill} if judged.skill is not None else {})
