"""Sums that each arm keeps, and the score made of them: what the arm adds to taking another.

    w+ = 1 / q(a) in rounds that took a, w- = 1 / (1 - q(a)) in eligible rounds that took another
    mu+-  weighted means of the reward, n+- = (sum w)^2 / sum w^2, mu the mean reward of a's eligible rounds
    mu_hat+- = (mu+- n+- + mu sigma) / (n+- + sigma)
    s = (mu_hat+ - mu_hat-) / mu_hat-

Rounds in which an arm was not eligible say nothing about it, so that an arm for eager recipients only is not taken
for a good one.
"""

from dataclasses import dataclass

import numpy as np

from models.arm_draws import BadArms, Booleans, Floats, Integers

COLUMNS = ("taken_wr", "taken_w", "taken_ww", "other_wr", "other_w", "other_ww", "eligible_r", "eligible_n")

SHRINKAGE = 105.0
"""Rounds that the prior mean counts for."""


@dataclass(frozen=True)
class ArmSums:
    """Sums over all rounds so far.

    Attributes:
        table: shape (K, 8), columns as in ``COLUMNS``.
    """

    table: Floats

    @classmethod
    def empty(cls, arms: int) -> "ArmSums":
        """Return the sums of K arms nobody saw."""
        return cls(np.zeros((arms, len(COLUMNS))))

    def added(self, probabilities: Floats, eligible: Booleans, arm: Integers, reward: Floats) -> "ArmSums":
        """Return the sums with n more rounds.

        Args:
            probabilities: of each arm when the round was drawn, shape (n, K).
            eligible: shape (n, K).
            arm: the arm that was taken, shape (n,).
            reward: shape (n,), finite, at least 0.

        Raises:
            BadArms: shapes differ, or the arm taken was not eligible or had no chance.
        """
        taken = self._taken(probabilities, eligible, arm, reward)
        other = eligible & ~taken
        up = np.where(taken, 1 / np.where(taken, probabilities, 1.0), 0.0)
        down = np.where(other, 1 / np.where(other, 1 - probabilities, 1.0), 0.0)
        pay = reward[:, None]
        parts = (up * pay, up, up**2, down * pay, down, down**2, eligible * pay, eligible)
        return ArmSums(self.table + np.stack([part.sum(axis=0) for part in parts], axis=1))

    def scores(self, shrinkage: float = SHRINKAGE) -> Floats:
        """Return s of each arm, shape (K,): its relative gain over the others; 0 for an arm nobody saw.

        Args:
            shrinkage: sigma, rounds, > 0.
        """
        column = dict(zip(COLUMNS, self.table.T, strict=True))
        mean = _ratio(column["eligible_r"], column["eligible_n"])
        up = _shrunk(column["taken_wr"], column["taken_w"], column["taken_ww"], mean, shrinkage)
        down = _shrunk(column["other_wr"], column["other_w"], column["other_ww"], mean, shrinkage)
        return _ratio(up - down, down)

    def _taken(self, probabilities: Floats, eligible: Booleans, arm: Integers, reward: Floats) -> Booleans:
        shape = (len(reward), len(self.table))
        if probabilities.shape != shape or eligible.shape != shape or arm.shape != shape[:1]:
            raise BadArms(f"probabilities, eligible, arm: expected {shape[0]} rounds of {shape[1]} arms")
        if not (np.isfinite(reward) & (reward >= 0)).all():
            raise BadArms("reward: expected finite numbers, at least 0")
        if ((arm < 0) | (arm >= shape[1])).any():
            raise BadArms(f"arm: expected indices from 0 to {shape[1] - 1}")
        taken: Booleans = np.arange(shape[1])[None, :] == arm[:, None]
        if not (eligible & (probabilities > 0))[taken].all():
            raise BadArms("arm: an arm was taken that was not eligible or had no chance")
        if not (probabilities[eligible & ~taken] < 1).all():
            raise BadArms("probabilities: an arm that was certain was not taken")
        return taken


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)


def _shrunk(weighted: Floats, weight: Floats, squares: Floats, mean: Floats, shrinkage: float) -> Floats:
    rounds = _ratio(weight**2, squares)
    shrunk: Floats = (_ratio(weighted, weight) * rounds + mean * shrinkage) / (rounds + shrinkage)
    return shrunk
