"""What a challenger is held to beside its own report: channels, groups, drift, files, and what was decided live."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from adapters.postgres.model_outcomes import Choice, ModelOutcomes
from adapters.postgres.profile_groups import ProfileGroups
from adapters.postgres.shadow_outcomes import ShadowOutcomes
from assets.steps import fitting
from domain import rescored
from feature_repo.engagement.at_read import at_read
from models.engagement import dataset, recoded, spec
from models.engagement.score import CanaryFailed, NotAScore, Scorer
from models.off_policy.replayed import Replayed, judge
from models.promotion import channels, drift, groups, serving_limits
from models.promotion.finding import Claim, Finding, unknown
from models.promotion.groups import Gap, Group
from models.promotion.rows import Scored
from models.promotion.serving_limits import Measured

BACK = timedelta(days=90)
"""How far back decisions are looked at."""
PSI_LIMIT = 0.5
"""Campaigns come and go, so rows after a cut always differ somewhat; twice what is called another population."""
CHOSEN_BY_US = ("message_type_code", "channel_code", "decision_is_weekend", "hour_match_90d", "channel_sent_count_30d")
"""Features that say what was sent, when and how often; that they move is our doing, no drift of the people."""
LOSS_LET_THROUGH = 0.1
"""By how much the conversions of a decision may lie below the log's, as a share, at the lower bound."""
LEAST_DECISIONS = 200
_TRIES = 20


@dataclass(frozen=True)
class Evidence:
    """Where evidence comes from: decisions with outcomes, groups of recipients, and each tenant's moment.

    ``least_shadow`` is how many live messages a challenger has to be compared on before it replaces a champion.
    """

    outcomes: ModelOutcomes
    groups: ProfileGroups
    nows: Mapping[str, datetime]
    shadows: ShadowOutcomes | None = None
    least_shadow: int = 0


@dataclass(frozen=True)
class Gathered:
    """Findings, and the numbers that pictures are drawn from."""

    findings: tuple[Finding, ...]
    psi: Mapping[str, float]
    importance: Mapping[str, float]
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]


def gather(
    rows: pd.DataFrame,
    scorer: Scorer,
    files: Mapping[str, bytes],
    *,
    cut: datetime,
    mine: npt.NDArray[np.float64],
    theirs: npt.NDArray[np.float64] | None,
    evidence: Evidence,
) -> Gathered:
    """Hold a challenger to everything but its own report.

    Args:
        rows: the training set.
        scorer: the challenger.
        files: its files, as registered.
        cut: divides what it was trained on from what came later.
        mine: its scores of the rows after the cut, shape (n,).
        theirs: the champion's scores of the same; None without a champion.
        evidence: decisions and groups.
    """
    split = dataset.time_split(rows, at=cut)
    final = fitting.closed(split.test)
    test = split.test[final].reset_index(drop=True)
    scored = _scored(test, mine[final])
    attributes = attributes_of(test, evidence.groups)
    moved, importance = _drift(split.train, split.test, scorer), scorer.importance()
    found = (
        *channels.findings(scored, test["channel"].to_numpy(dtype=np.str_)),
        *groups.findings(scored, None if theirs is None else _scored(test, theirs[final]), attributes),
        drift.finding(moved, importance, rows=(len(split.train), len(split.test)), limit=PSI_LIMIT),
        *serving_limits.findings(measure(scorer, files)),
        off_policy(scorer, evidence.outcomes.choices(spec.NAME, evidence.nows, back=BACK)),
    )
    described, gaps = groups.describe(scored, attributes), groups.worst_gaps(scored, attributes)
    return Gathered(found, moved, importance, tuple(described), tuple(gaps))


def attributes_of(rows: pd.DataFrame, declared: ProfileGroups) -> dict[str, npt.NDArray[np.str_]]:
    """Return by attribute the group of each row: what was sent, whether anything is known, and what is declared."""
    known = pd.Series(np.where(rows["engagement_as_of"].isna(), "none", "some"), index=rows.index)
    made = {"channel": rows["channel"], "message_type": rows["message_type"].fillna(""), "history": known}
    given = declared.of(rows)
    made |= {str(name): given[name] for name in given.columns}
    return {name: values.to_numpy(dtype=np.str_) for name, values in made.items()}


def _scored(rows: pd.DataFrame, p: npt.NDArray[np.float64]) -> Scored:
    return Scored.of(rows[spec.LABEL].to_numpy(), p, (rows["tenant"] + "\t" + rows["recipient_id"]).to_numpy(np.str_))


def _drift(then: pd.DataFrame, now: pd.DataFrame, scorer: Scorer) -> dict[str, float]:
    names = [name for name in scorer.features if name not in CHOSEN_BY_US]
    if not len(then) or not len(now):
        return {}
    # Windows of 90 days fill for as long: a model is used to what its latest rows show as much as to all of them.
    latest = then.sort_values("decided_at", kind="stable").tail(len(now))
    whole, late, today = (
        at_read(part, part, features=names, vocabularies=scorer.vocabularies).matrix for part in (then, latest, now)
    )
    moved, moved_of_late = drift.by_feature(whole, today, names), drift.by_feature(late, today, names)
    return {name: min(moved[name], moved_of_late[name]) for name in names}


def measure(scorer: Scorer, files: Mapping[str, bytes]) -> Measured:
    """Try the canary rows, and take the best time of several tries for the rows of one decision."""
    rows, problem = scorer.canary_rows, None
    try:
        scorer.canary()
        p = scorer.score(rows)
    except (CanaryFailed, NotAScore) as error:
        p, problem = np.full(len(rows), np.nan), str(error)
    many = np.resize(rows, (serving_limits.ROWS_OF_A_DECISION, rows.shape[1])) if problem is None else rows[:0]
    took = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        scorer.score(many)
        took.append(time.perf_counter() - start)
    return Measured(p, problem, sum(len(body) for body in files.values()), 1_000 * min(took))


def off_policy(scorer: Scorer, choices: list[Choice]) -> Finding:
    """Ask the log what the challenger's choices would have brought; the lower bound must not lie far below the log.

    What the log cannot tell refuses nobody, and is told.
    """
    claim, condition = Claim.LIVE, "off_policy.lower_bound"
    rows = list(_otherwise(scorer, choices))
    if len(rows) < LEAST_DECISIONS:
        why = f"{len(rows)} decisions were drawn from a model's values, at least {LEAST_DECISIONS} are needed"
        return unknown(claim, condition, why)
    worth = judge(rows)
    gain = worth.gains.get("over_log")
    if worth.verdict == "refused" or gain is None or gain.low is None:
        return unknown(claim, condition, worth.warnings or "the log bounds no gain")
    logged = sum(row.reward for row in rows) / len(rows)
    limit = -LOSS_LET_THROUGH * logged
    sentence = (
        f"conversions per decision would change by {gain.value:.5f}, interval from {gain.low:.5f}, over {logged:.5f} in"
        f" the log of {len(rows)}: the bound must be at least {limit:.5f}"
    )
    return Finding(claim, condition, gain.low >= limit, gain.low, limit, sentence)


def _otherwise(scorer: Scorer, choices: list[Choice]) -> Iterator[Replayed]:
    """Yield choices with the chances the challenger would have given; those it cannot score are left out."""
    needed = set(scorer.features) - recoded.OF_THE_DECISION.keys()
    # Which word a recipient's code stands for, no record says.
    known = [] if needed & recoded.OF_THE_RECIPIENT.keys() else choices
    usable = [each for each in known if all(needed <= row.keys() for row in each.features.values())]
    places = [(each, channel) for each in usable for channel in each.features]
    if not places:
        return
    matrix = np.array([[_value(scorer, name, each, at) for name in scorer.features] for each, at in places])
    said: dict[str, dict[str, float]] = {}
    for (each, at), p in zip(places, scorer.score(matrix.astype(np.float32)), strict=True):
        said.setdefault(each.decision_id, {})[at] = float(p)
    for each in usable:
        names, stage = rescored.options(each.stage), each.stage
        if not set(names) - {rescored.NOTHING} <= said[each.decision_id].keys():
            continue
        logged = [float(chance) for chance in stage["probabilities"]]
        chances = rescored.probabilities(stage, each.expected, each.settings, said[each.decision_id])
        yield Replayed(
            action=names[stage["chosen"]],
            probability=logged[stage["chosen"]],
            possible=dict(zip(names, logged, strict=True)),
            otherwise=dict(zip(names, chances, strict=True)),
            reward=float(each.converted),
            recipient=each.subject_key,
            context={"message_type": each.message_type},
        )


def _value(scorer: Scorer, name: str, choice: Choice, channel: str) -> float:
    """Return a feature as the challenger reads it, whichever version read it then."""
    if name in recoded.OF_THE_DECISION:
        return recoded.of_decision(scorer.vocabularies, name, message_type=choice.message_type, channel=channel)
    value = choice.features[channel][name]
    return float("nan") if value is None else value
