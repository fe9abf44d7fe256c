"""A small world in which recipients differ in what they like, for comparing policies over variants.

Recipients and variants are mixtures of eight topics; a variant fits as far as their topics overlap; some recipients
open more of anything; what somebody saw again and again loses. A policy sees a noisy estimate of a recipient's topics
and openness, the variants' topics, and the exposures. Every day each recipient gets one of the variants that happen
to be possible (about 60 %); outcomes are known a day later. Recipients' topics drift by 0.2 % a day.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from models.arm_draws import draw_arms
from models.content_bandit.bandit import Outcomes
from models.content_bandit.layout import Layout

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

TOPICS = 8
HALF_LIFE_DAYS = 15
MOST_EXPOSURE = 30
POSSIBLE = 0.6


@dataclass(frozen=True)
class Day:
    """The decisions of one day: context (n, p), exposure (n, K), eligible (n, K), ids, and the truth (n, K)."""

    context: Floats
    exposure: Floats
    eligible: Booleans
    ids: list[str]
    chance: Floats


class Policy(Protocol):
    """What plays in the world."""

    def probabilities(self, day: Day) -> Floats:
        """Return each arm's probability, shape (n, K)."""

    def learn(self, day: Day, probabilities: Floats, outcomes: Outcomes) -> None:
        """Learn a day's outcomes."""


@dataclass
class ContentWorld:
    """The world of one seed; ``effect`` 0 and ``habituation`` 0 make one in which no variant is better.

    Attributes:
        seed: two worlds of one seed are equal, whatever policy plays.
        recipients: how many.
        arms: how many variants.
        base: open rate of an indifferent recipient.
        effect: multiplies fit and quality.
        habituation: log-odds lost for each decayed exposure.
    """

    seed: int
    recipients: int = 1500
    arms: int = 12
    base: float = 0.035
    effect: float = 1.0
    habituation: float = 0.03
    likes: Floats = field(init=False)
    context: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Draw recipients and variants."""
        rng = np.random.default_rng([self.seed, 0])
        self.likes = rng.dirichlet(np.full(TOPICS, 0.4), self.recipients)
        self.topics = rng.dirichlet(np.full(TOPICS, 0.4), self.arms)
        self.quality = rng.normal(0, 0.08, self.arms)
        self.openness = rng.normal(0, 0.7, self.recipients)
        noisy = self.likes - 1 / TOPICS + rng.normal(0, 0.1, self.likes.shape)
        self.context = np.column_stack([noisy, self.openness + rng.normal(0, 0.5, self.recipients)])

    @property
    def layout(self) -> Layout:
        """Return what a policy may know of the variants."""
        names = (*(f"topic_{number}" for number in range(TOPICS)), "openness")
        items = tuple(tuple(row) for row in (self.topics - 1 / TOPICS).tolist())
        return Layout(names, tuple(f"variant_{number}" for number in range(self.arms)), items)

    def chance(self, exposure: Floats) -> Floats:
        """Return the true chance of an open, shape (n, K)."""
        fit = 2 * (self.likes @ self.topics.T - 1 / TOPICS) + self.quality
        tired = self.habituation * np.minimum(exposure, MOST_EXPOSURE)
        opened: Floats = expit(logit(self.base) + self.openness[:, None] + self.effect * fit - tired)
        return opened

    def play(self, policy: Policy, days: int) -> Floats:
        """Return the mean true chance of what the policy sent, shape (days,)."""
        rng = np.random.default_rng([self.seed, 1])
        exposure = np.zeros((self.recipients, self.arms))
        found, waiting = np.empty(days), []
        everybody = np.arange(self.recipients)
        for number in range(days):
            eligible = rng.random(exposure.shape) < POSSIBLE
            eligible[everybody, rng.integers(self.arms, size=self.recipients)] = True
            ids = [f"{self.seed}/{number}/{recipient}" for recipient in range(self.recipients)]
            day = Day(self.context, exposure.copy(), eligible, ids, self.chance(exposure))
            probabilities = policy.probabilities(day)
            arm = draw_arms(probabilities, ids)
            chance = day.chance[everybody, arm]
            found[number] = chance.mean()
            reward = (rng.random(self.recipients) < chance).astype(np.float64)
            waiting.append((day, probabilities, Outcomes(day.context, exposure[everybody, arm], arm, reward)))
            if len(waiting) > 1:
                policy.learn(*waiting.pop(0))
            exposure *= 2 ** (-1 / HALF_LIFE_DAYS)
            exposure[everybody, arm] += 1
            self.likes = 0.998 * self.likes + 0.002 * rng.dirichlet(np.full(TOPICS, 0.4), self.recipients)
        return found
