"""Whether recovering difference softmax finds effects that were planted, where raw means are led astray.

Twelve arms change a recipient's chance of a reward by N(0, 1.3 %), relatively. Recipients differ severalfold in
eagerness, and an arm is possible for eager ones more often or more rarely than for others, as rules and conditions of
templates make it: an arm's raw mean then tells partly whom it reached. Rounds were drawn evenly over what was
possible. Nothing was shown before, so that nothing has to recover.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import kendalltau

from models.off_policy.policy import draw
from models.recovering_softmax.policy import RecoveringSoftmax, Settings
from models.recovering_softmax.sums import SHRINKAGE, ArmSums

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

ARMS = 12
EFFECT_SD = 0.013
BASE_RATE = 0.13
EAGERNESS_SD = 0.4
LEANING_SD = 0.05
POSSIBLE = 0.6
CHUNK = 100_000


@dataclass(frozen=True)
class PlantedArms:
    """One world: each arm's relative effect, and its leaning towards eager recipients."""

    effects: Floats
    leanings: Floats
    seed: int

    @classmethod
    def of(cls, seed: int) -> "PlantedArms":
        """Draw a world."""
        rng = np.random.default_rng([seed, 0])
        return cls(rng.normal(0, EFFECT_SD, ARMS), rng.normal(0, LEANING_SD, ARMS), seed)

    def recipients(self, rng: np.random.Generator, n: int) -> tuple[Floats, Booleans]:
        """Return how eager n recipients are, shape (n,), and which arms are possible, shape (n, K)."""
        eager = rng.normal(size=n)
        possible = rng.random((n, ARMS)) < expit(logit(POSSIBLE) + eager[:, None] * self.leanings)
        possible[np.arange(n), rng.integers(ARMS, size=n)] = True
        return BASE_RATE * np.exp(EAGERNESS_SD * eager - EAGERNESS_SD**2 / 2), possible

    def gain(self, policy: Callable[[Booleans], Floats], n: int) -> float:
        """Return the relative gain over the even draw of a policy, told as its probabilities given what is possible."""
        rate, possible = self.recipients(np.random.default_rng([self.seed, 2]), n)
        even, ours = (
            (rate * (q * self.effects).sum(axis=1)).sum()
            for q in (possible / possible.sum(axis=1, keepdims=True), policy(possible))
        )
        return float((ours - even) / (rate.sum() + even))


def highest(scores: Floats) -> Callable[[Booleans], Floats]:
    """Return the policy that takes the possible arm with the highest score, always."""
    return lambda possible: np.eye(ARMS)[np.where(possible, scores, -np.inf).argmax(axis=1)]


def compare(seed: int, rows: int, *, judged: int = 200_000) -> dict[str, float]:
    """Return Kendall's tau with the true order and the gain over the even draw, of the policy and of raw means.

    Args:
        seed: of the world.
        rows: rounds to learn from.
        judged: decisions over which gains are averaged.
    """
    world, sums = PlantedArms.of(seed), ArmSums.empty(ARMS)
    rng = np.random.default_rng([seed, 1])
    counts, paid = np.zeros(ARMS), np.zeros(ARMS)
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        rate, possible = world.recipients(rng, n)
        q = possible / possible.sum(axis=1, keepdims=True)
        arm = draw(q, int(rng.integers(2**62)))
        reward = (rng.random(n) < rate * (1 + world.effects[arm])).astype(np.float64)
        sums = sums.added(q, possible, arm, reward)
        counts += np.bincount(arm, minlength=ARMS)
        paid += np.bincount(arm, reward, minlength=ARMS)
    policy = RecoveringSoftmax(tuple(f"arm_{number}" for number in range(ARMS)), sums, Settings(floor=0.0))
    return {
        "tau": float(kendalltau(policy.sums.scores(), world.effects).statistic),
        "raw_tau": float(kendalltau(paid / counts, world.effects).statistic),
        "oracle": world.gain(highest(world.effects), judged),
        "gain": world.gain(lambda possible: policy.probabilities(np.zeros(possible.shape), possible), judged),
        "raw_gain": world.gain(highest(paid / counts), judged),
    }


def brute_force_score(
    a: int,
    probabilities: Sequence[Sequence[float]],
    eligible: Sequence[Sequence[bool]],
    arm: Sequence[int],
    reward: Sequence[float],
    *,
    sigma: float,
) -> float:
    """Return the score of one arm by its definition, row by row."""
    up, down, pay = [], [], []
    for q, possible, taken, r in zip(probabilities, eligible, arm, reward, strict=True):
        if possible[a]:
            pay.append(r)
            if taken == a:
                up.append((1 / q[a], r))
            else:
                down.append((1 / (1 - q[a]), r))
    prior = math.fsum(pay) / len(pay)
    shrunk = []
    for side in (up, down):
        total = math.fsum(w for w, _ in side)
        mean = math.fsum(w * r for w, r in side) / total
        size = total**2 / math.fsum(w**2 for w, _ in side)
        shrunk.append((mean * size + prior * sigma) / (size + sigma))
    return (shrunk[0] - shrunk[1]) / shrunk[1]


def largest_difference(seed: int, rows: int = 2_000) -> float:
    """Return the largest distance of the policy's scores from the brute-force ones, in a small world."""
    world, rng = PlantedArms.of(seed), np.random.default_rng([seed, 3])
    rate, possible = world.recipients(rng, rows)
    grown = possible * rng.gamma(2.0, size=possible.shape)
    q = grown / grown.sum(axis=1, keepdims=True)
    arm = draw(q, seed)
    reward = (rng.random(rows) < rate).astype(np.float64)
    found = ArmSums.empty(ARMS).added(q, possible, arm, reward).scores()
    told = (q.tolist(), possible.tolist(), arm.tolist(), reward.tolist())
    return max(abs(float(found[a]) - brute_force_score(a, *told, sigma=SHRINKAGE)) for a in range(ARMS))
