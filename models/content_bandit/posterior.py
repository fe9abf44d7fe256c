"""What is believed about the coefficients: a normal distribution, moved by each micro-batch of outcomes.

A batch is learnt by Newton steps from the belief before it: the mean goes to the mode, the precision becomes the
curvature there (Laplace). What is old is forgotten towards the prior, not towards ignorance.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from models.arm_draws import BadArms, Floats

NEWTON_STEPS = 8
"""Two or three are taken in practice; the rest is for a first batch that is far from the prior."""

_ENOUGH = 1e-10
_HALVINGS = 20


@dataclass(frozen=True)
class Posterior:
    """A normal belief about d coefficients.

    Attributes:
        mean: shape (d,).
        precision: inverse covariance, symmetric and positive definite, shape (d, d).
        prior_mean: what it started from, shape (d,).
        prior_precision: its diagonal, shape (d,), > 0.
    """

    mean: Floats
    precision: Floats
    prior_mean: Floats
    prior_precision: Floats

    @classmethod
    def of_prior(cls, mean: Floats, precision: Floats) -> "Posterior":
        """Return the belief before any outcome, from a mean and a diagonal precision of shape (d,)."""
        return cls(mean, np.diag(precision), mean, precision)

    def forgotten(self, retention: float) -> "Posterior":
        """Return the belief in which evidence weighs only a share of what it did.

        Args:
            retention: in (0, 1]; 1 forgets nothing.
        """
        if retention == 1:
            return self
        kept, renewed = retention * self.precision, (1 - retention) * self.prior_precision
        precision = kept + np.diag(renewed)
        mean = cho_solve(cho_factor(precision), kept @ self.mean + renewed * self.prior_mean)
        return Posterior(mean, precision, self.prior_mean, self.prior_precision)

    def learned(self, rows: Floats, rewards: Floats) -> "Posterior":
        """Return the belief after a batch.

        Args:
            rows: shape (n, d), finite.
            rewards: shape (n,), in [0, 1].

        Raises:
            BadArms: shapes or numbers are impossible.
        """
        _check(rows, rewards, len(self.mean))
        mean = self.mean
        for _ in range(NEWTON_STEPS):
            chance = expit(rows @ mean)
            slope = rows.T @ (rewards - chance) - self.precision @ (mean - self.mean)
            step = cho_solve(cho_factor(self._curvature(rows, chance)), slope)
            mean = self._stepped(rows, rewards, mean, step)
            if float(slope @ step) < _ENOUGH:
                break
        precision = self._curvature(rows, expit(rows @ mean))
        return Posterior(mean, precision, self.prior_mean, self.prior_precision)

    def log_joint(self, rows: Floats, rewards: Floats, mean: Floats) -> float:
        """Return the log-likelihood of a batch plus the log of this belief's density at a mean, up to a constant."""
        score, away = rows @ mean, mean - self.mean
        likelihood = float(rewards @ score - np.logaddexp(0, score).sum())
        return likelihood - 0.5 * float(away @ self.precision @ away)

    def _curvature(self, rows: Floats, chance: Floats) -> Floats:
        grown = self.precision + rows.T @ (rows * (chance * (1 - chance))[:, None])
        symmetric: Floats = (grown + grown.T) / 2
        return symmetric

    def _stepped(self, rows: Floats, rewards: Floats, mean: Floats, step: Floats) -> Floats:
        """Return the mean after a step, halved until it makes things no worse."""
        before = self.log_joint(rows, rewards, mean)
        for halving in range(_HALVINGS):
            moved: Floats = mean + step / 2**halving
            if self.log_joint(rows, rewards, moved) >= before:
                return moved
        return mean


def log_evidence(prior: Posterior, rows: Floats, rewards: Floats) -> float:
    """Return the logarithm of the marginal likelihood of a batch under a prior (Laplace)."""
    after = prior.learned(rows, rewards)
    before_volume, after_volume = (float(np.linalg.slogdet(belief.precision)[1]) for belief in (prior, after))
    return prior.log_joint(rows, rewards, after.mean) + 0.5 * (before_volume - after_volume)


def _check(rows: Floats, rewards: Floats, size: int) -> None:
    if rows.shape != (len(rewards), size):
        raise BadArms(f"rows: expected one of {size} numbers for each of {len(rewards)} rewards, not {rows.shape}")
    if not np.isfinite(rows).all():
        raise BadArms("rows: expected finite numbers")
    if not ((rewards >= 0) & (rewards <= 1)).all():
        raise BadArms("rewards: expected numbers from 0 to 1")
