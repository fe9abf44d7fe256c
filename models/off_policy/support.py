"""Whether a log can say anything about a policy: self-test of its probabilities, overlap, effective size."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.off_policy.estimators import Estimate, effective_size
from models.off_policy.intervals import Interval, finite, fixed
from models.off_policy.log import DecisionLog, Floats

LEAST_EFFECTIVE_SIZE = 200.0
"""Below this an interval is not to be trusted, whatever its width."""

SELF_TEST_ALPHA = 0.01
"""Chance that a sound log fails the self-test, and is refused."""

LARGEST_UNSUPPORTED = 0.05
"""Share of the policy's choices the log may never have made; what they earn is a guess of the model."""

THIN = 0.01
"""Logged probabilities below this carry weights above 100 times the policy's."""

FEWEST_EVENTS = 100
"""Rewards that differ from the commonest one; with fewer, nobody can tell which of two policies is better."""

_FEW_RECIPIENTS = 30
_NAMED_ROWS = 5


@dataclass(frozen=True)
class Support:
    """What the weights say about the log.

    Attributes:
        ess: effective sample size, decisions.
        mean_weight: with its interval of chance 1 - SELF_TEST_ALPHA; 1 lies in it where the probabilities are true.
        max_weight: the largest weight.
        unsupported: share of the policy's choices that no row of the log made (at that position).
        ineligible: share of the policy's choices that were not eligible.
        thin: share of the policy's choices the log made with probability below THIN.
        refusals: why no answer may be given; empty where one may.
        warnings: what whoever reads the answer must know.
    """

    ess: float
    mean_weight: Interval
    max_weight: float
    unsupported: float
    ineligible: float
    thin: float
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the shares and the self-test's interval."""
        return {
            "mean_weight": self.mean_weight.as_json(),
            "unsupported": self.unsupported,
            "ineligible": self.ineligible,
            "thin": self.thin,
        }


def faults(log: DecisionLog) -> tuple[str, ...]:
    """Return why nothing can be computed from a log at all: its probabilities or rewards are no such thing."""
    outside = ~((log.probability > 0) & (log.probability <= 1))
    unknown = ~np.isfinite(log.reward)
    found = []
    if outside.any():
        found.append(f"action_probability must lie in (0, 1]: it does not in {named(outside)}")
    if unknown.any():
        found.append(f"reward must be a finite number: it is not in {named(unknown)}")
    wrong = ~log.eligible[np.arange(len(log)), log.action]
    if wrong.any():
        found.append(f"the action taken must be one of the eligible ones: it is not in {named(wrong)}")
    return tuple(found)


def named(rows: Any) -> str:
    """Return how many rows are meant, and the first of them, counted from 0."""
    places = np.flatnonzero(rows)
    first = ", ".join(str(place) for place in places[:_NAMED_ROWS])
    more = ", ..." if len(places) > _NAMED_ROWS else ""
    return f"{len(places)} of {len(rows)} rows (row {first}{more})"


def too_few_events(log: DecisionLog) -> str | None:
    """Return why the rewards cannot rank policies, None where they can."""
    events = len(log) - int(np.unique(log.reward, return_counts=True)[1].max())
    if events >= FEWEST_EVENTS:
        return None
    return f"only {events} rewards differ from the commonest one: too few to tell whether a policy is better"


def support(log: DecisionLog, policy: Floats, weight: Floats) -> Support:
    """Return what the log can bear; ``policy`` is shape (n, K), ``weight`` shape (n,)."""
    mean = float(weight.mean())
    deviations = Estimate(mean, weight - mean)
    test, usual = fixed(deviations, log.cluster, SELF_TEST_ALPHA), fixed(deviations, log.cluster)
    measured = Support(
        ess=effective_size(weight),
        mean_weight=test,
        max_weight=float(weight.max()),
        unsupported=float((policy * ~_ever_taken(log)).sum(axis=1).mean()),
        ineligible=float((policy * ~log.eligible).sum(axis=1).mean()),
        thin=float(np.mean(weight * (log.probability < THIN))),
        refusals=(),
        warnings=(),
    )
    refusals = _refusals(measured)
    warnings = _warnings(measured, log, self_test_is_close=not refusals and not _holds_one(usual))
    return Support(**{**vars(measured), "refusals": refusals, "warnings": warnings})


def _ever_taken(log: DecisionLog) -> Any:
    """Return whether each row's position ever saw each action, shape (n, K)."""
    place = np.zeros(len(log), dtype=np.int64)
    if log.position is not None:
        place = np.unique(log.position, return_inverse=True)[1].astype(np.int64)
    seen = np.zeros((int(place.max()) + 1, len(log.actions)), dtype=np.bool_)
    seen[place, log.action] = True
    return seen[place]


def _holds_one(interval: Interval) -> bool:
    slack = 1e-9
    if interval.low is None or interval.high is None or not math.isfinite(interval.low + interval.high):
        return False
    return interval.low - slack <= 1 <= interval.high + slack


def _refusals(found: Support) -> tuple[str, ...]:
    refusals = []
    if found.max_weight == 0:
        refusals.append("no overlap: the policy never does what the log did")
    elif found.ess < LEAST_EFFECTIVE_SIZE:
        refusals.append(
            f"the effective sample size is {found.ess:.1f}, below {LEAST_EFFECTIVE_SIZE:.0f}: too few of the log's "
            "decisions are ones the policy would make"
        )
    if not _holds_one(found.mean_weight):
        test = found.mean_weight
        refusals.append(
            f"the mean importance weight is {test.value:.4f} and its 99 % interval "
            f"[{_told(test.low)}, {_told(test.high)}] leaves out 1: the logged probabilities are not the ones the log "
            "was drawn with, or the log never does what the policy does"
        )
    if found.unsupported > LARGEST_UNSUPPORTED:
        refusals.append(f"{found.unsupported:.1%} of the policy's choices are ones the log never made")
    return tuple(refusals)


def _warnings(found: Support, log: DecisionLog, *, self_test_is_close: bool) -> tuple[str, ...]:
    warnings = []
    if self_test_is_close:
        warnings.append(f"the mean importance weight is {found.mean_weight.value:.4f}: its 95 % interval leaves out 1")
    if 0 < found.unsupported <= LARGEST_UNSUPPORTED:
        warnings.append(f"{found.unsupported:.2%} of the policy's choices are ones the log never made")
    if found.ineligible > 0:
        warnings.append(f"{found.ineligible:.2%} of the policy's choices were not eligible")
    if found.thin > LARGEST_UNSUPPORTED:
        warnings.append(f"{found.thin:.1%} of the policy's choices had a logged probability below {THIN}")
    if log.clusters < _FEW_RECIPIENTS:
        warnings.append(f"there are {log.clusters} recipients only: intervals are rough")
    few = too_few_events(log)
    if few is not None:
        warnings.append(few)
    return tuple(warnings)


def _told(bound: float | None) -> str:
    known = finite(bound)
    return "unknown" if known is None else f"{known:.4f}"
