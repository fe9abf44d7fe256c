"""The content bandit: expected rewards, the probabilities of both modes, learning, and its state as data.

Decisions come as arrays: n recipients by K arms; one decision is a batch of one. Nothing is changed in place: learning
returns the next bandit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from models.arm_draws import BadArms, Booleans, Floats, Integers
from models.content_bandit import exploration
from models.content_bandit.layout import Layout, PriorSpread
from models.content_bandit.posterior import Posterior, log_evidence

SCHEMA = "kairos.content_bandit/1"

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Multipliers of the prior's spread that are compared."""

_AT_ONCE = 1024
"""Decisions whose features are built together by Thompson sampling: about 20 MB."""


class BadState(ValueError):
    """A document is no state of this version; says what is wrong."""


@dataclass(frozen=True)
class Settings:
    """How the bandit explores and forgets.

    Attributes:
        gap_weight: G of inverse-gap weighting before anything was learnt, > 0.
        gap_rows: outcomes after which G has grown by the square root of two; G ~ sqrt(1 + rows / gap_rows).
        floor: share spread evenly over the eligible arms, in (0, 1).
        draws: posterior draws of Thompson sampling, at least 256.
        daily_retention: weight that evidence keeps from day to day, in (0, 1]; 1 forgets nothing.
    """

    gap_weight: float = 8000.0
    gap_rows: float = float("1e6")
    floor: float = 0.02
    draws: int = 512
    daily_retention: float = 1.0

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        if not (self.gap_weight > 0 and self.gap_rows > 0):
            raise BadArms("gap_weight, gap_rows: expected numbers above 0")
        if not 0 < self.floor < 1:
            raise BadArms("floor: expected a share between 0 and 1")
        if self.draws < exploration.LEAST_DRAWS:
            raise BadArms(f"draws: expected at least {exploration.LEAST_DRAWS}")
        if not 0 < self.daily_retention <= 1:
            raise BadArms("daily_retention: expected a number above 0, at most 1")


@dataclass(frozen=True)
class Outcomes:
    """What came of n decisions, joined by their ids within the attribution window.

    Attributes:
        context: features as they were at the decision, shape (n, p).
        exposure: decayed exposures to the arm that was taken, as they were then, shape (n,).
        arm: index of the arm that was taken, shape (n,).
        reward: shape (n,), in [0, 1].
    """

    context: Floats
    exposure: Floats
    arm: Integers
    reward: Floats


@dataclass(frozen=True)
class ContentBandit:
    """A belief about what each variant is worth to whom.

    Attributes:
        layout: names and items.
        settings: exploration and forgetting.
        posterior: the belief.
        learned_rows: outcomes learnt from so far.
    """

    layout: Layout
    settings: Settings
    posterior: Posterior
    learned_rows: int = 0

    @classmethod
    def fresh(
        cls, layout: Layout, *, base_rate: float, spread: PriorSpread | None = None, settings: Settings | None = None
    ) -> "ContentBandit":
        """Return a bandit that has seen nothing.

        Raises:
            BadArms: the base rate is not between 0 and 1.
        """
        if not 0 < base_rate < 1:
            raise BadArms("base_rate: expected a share between 0 and 1")
        prior = Posterior.of_prior(*layout.prior(base_rate, spread or layout.spread))
        return cls(layout, settings or Settings(), prior)

    def expected(self, context: Floats, exposure: Floats) -> Floats:
        """Return the expected reward of every arm, shape (n, K), for context (n, p) and exposures (n, K).

        Raises:
            BadArms: the tables do not fit.
        """
        self.layout.check(context, exposure)
        chance: Floats = expit(self.layout.scores(self.posterior.mean, context, exposure))
        return chance

    @property
    def gap_weight(self) -> float:
        """Return G as it is now: the surer the belief, the less is explored."""
        return self.settings.gap_weight * float(np.sqrt(1 + self.learned_rows / self.settings.gap_rows))

    def probabilities(self, context: Floats, exposure: Floats, eligible: Booleans) -> Floats:
        """Return each arm's probability by inverse-gap weighting, shape (n, K); rows sum to 1.

        Args:
            context: shape (n, p).
            exposure: decayed exposures to each arm, shape (n, K).
            eligible: shape (n, K); arms that may not be taken get 0.

        Raises:
            BadArms: the tables do not fit, or a row has no arm.
        """
        values = self.expected(context, exposure)
        return exploration.inverse_gap(values, eligible, gap_weight=self.gap_weight, floor=self.settings.floor)

    def thompson_probabilities(
        self, context: Floats, exposure: Floats, eligible: Booleans, decision_ids: Sequence[str]
    ) -> Floats:
        """Return each arm's probability by Thompson sampling, counted in keyed draws, shape (n, K).

        Args:
            context: shape (n, p).
            exposure: decayed exposures to each arm, shape (n, K).
            eligible: shape (n, K).
            decision_ids: n ids; the same id and state give the same bytes.

        Raises:
            BadArms: the tables do not fit, or a row has no arm.
        """
        self.layout.check(context, exposure)
        mean = self.layout.scores(self.posterior.mean, context, exposure)
        spread = np.linalg.inv(np.linalg.cholesky(self.posterior.precision)).T
        found = [np.empty((0, len(self.layout.arms)))]
        for start in range(0, len(context), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            root = self.layout.all_rows(context[some], exposure[some]) @ spread
            covariance = root @ np.swapaxes(root, 1, 2)
            found.append(
                exploration.thompson(
                    mean[some],
                    covariance,
                    eligible[some],
                    decision_ids[some],
                    draws=self.settings.draws,
                    floor=self.settings.floor,
                )
            )
        return np.vstack(found)

    def learned(self, outcomes: Outcomes, *, elapsed_days: float = 0.0) -> "ContentBandit":
        """Return the bandit after a micro-batch.

        Args:
            outcomes: what came of decisions not learnt from before.
            elapsed_days: time since the last batch, for forgetting, at least 0.

        Raises:
            BadArms: the tables do not fit.
        """
        if not elapsed_days >= 0:
            raise BadArms("elapsed_days: expected a number that is at least 0")
        belief = self.posterior.forgotten(self.settings.daily_retention**elapsed_days)
        if len(outcomes.reward):
            belief = belief.learned(rows_of(self.layout, outcomes), outcomes.reward)
        return replace(self, posterior=belief, learned_rows=self.learned_rows + len(outcomes.reward))

    def as_json(self) -> dict[str, Any]:
        """Return the state as data that JSON writes and reads without losing a bit."""
        low = np.tril_indices(self.layout.size)
        belief = self.posterior
        return {
            "schema": SCHEMA,
            "layout": self.layout.as_json(),
            "settings": asdict(self.settings),
            "learned_rows": self.learned_rows,
            "mean": belief.mean.tolist(),
            "precision_lower": belief.precision[low].tolist(),
            "prior_mean": belief.prior_mean.tolist(),
            "prior_precision": belief.prior_precision.tolist(),
        }

    @classmethod
    def from_json(cls, made: Any) -> "ContentBandit":
        """Read what :meth:`as_json` wrote.

        Raises:
            BadState: it is of another version, or a part is missing, wrong, or of the wrong size.
        """
        schema = made.get("schema") if isinstance(made, dict) else None
        if schema != SCHEMA:
            raise BadState(f"it is no state of schema {SCHEMA}: its schema is {schema!r}")
        try:
            layout = Layout.from_json(made["layout"])
            settings = Settings(**made["settings"])
            rows = int(made["learned_rows"])
            belief = _belief(made, layout.size)
        except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            raise BadState(f"a part of the state is missing or wrong: {error}") from None
        if rows < 0:
            raise BadState(f"learned_rows: expected a number that is at least 0, not {rows}")
        return cls(layout, settings, belief, rows)


def rows_of(layout: Layout, outcomes: Outcomes) -> Floats:
    """Return the regression's row of each outcome, shape (n, d).

    Raises:
        BadArms: the tables do not fit.
    """
    n = len(outcomes.reward)
    if outcomes.context.shape != (n, len(layout.context)):
        raise BadArms(f"context: expected shape {(n, len(layout.context))}, not {outcomes.context.shape}")
    if outcomes.exposure.shape != (n,) or outcomes.arm.shape != (n,):
        raise BadArms(f"exposure, arm: expected one for each of {n} rewards")
    if ((outcomes.arm < 0) | (outcomes.arm >= len(layout.arms))).any():
        raise BadArms(f"arm: expected indices from 0 to {len(layout.arms) - 1}")
    return layout.rows(outcomes.context, outcomes.exposure, outcomes.arm)


def scaled_spread(
    layout: Layout, outcomes: Outcomes, *, base_rate: float, spread: PriorSpread | None = None
) -> PriorSpread:
    """Return the spread, times the scale that makes some outcomes likeliest (empirical Bayes).

    Args:
        layout: names and items.
        outcomes: of decisions whose arms were drawn, not chosen by hand; few say little, and then 1 is usual.
        base_rate: the prior's share of successes, in (0, 1).
        spread: what is multiplied.
    """
    start = spread or layout.spread
    rows = rows_of(layout, outcomes)

    def evidence(scale: float) -> float:
        prior = Posterior.of_prior(*layout.prior(base_rate, start.scaled(scale)))
        return log_evidence(prior, rows, outcomes.reward)

    return start.scaled(max(SCALES, key=evidence))


def _belief(made: Mapping[str, Any], size: int) -> Posterior:
    precision = np.zeros((size, size))
    precision[np.tril_indices(size)] = np.array(made["precision_lower"], dtype=np.float64)
    precision += np.tril(precision, -1).T
    mean, prior_mean, prior_precision = (
        np.array(made[name], dtype=np.float64) for name in ("mean", "prior_mean", "prior_precision")
    )
    if not mean.shape == prior_mean.shape == prior_precision.shape == (size,):
        raise ValueError(f"mean, prior_mean, prior_precision: expected {size} numbers each")
    if not (np.isfinite(mean).all() and np.isfinite(prior_mean).all() and (prior_precision > 0).all()):
        raise ValueError("mean, prior_mean, prior_precision: expected finite numbers, the last above 0")
    np.linalg.cholesky(precision)  # raises where it is no precision
    return Posterior(mean, precision, prior_mean, prior_precision)
