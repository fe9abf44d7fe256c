"""A mixture of normals with a variance per column; how many by BIC; published only where bootstraps give it again."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clusters.spec import (
    BOOTSTRAPS,
    FEWEST_IN_ONE,
    FEWEST_PEOPLE,
    LEAST_STABILITY,
    LEAST_VARIANCE,
    MOST_CLUSTERS,
    ROUNDS,
    STARTS,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class NotEnoughData(ValueError):
    """There are too few people, or no clusters that the data would give again; says which."""


@dataclass(frozen=True)
class Scaling:
    """How columns become comparable: log1p, then mean 0 and variance 1.

    Attributes:
        mean: of log1p, shape (d,).
        sd: of log1p, above 0, shape (d,).
    """

    mean: Floats
    sd: Floats

    @classmethod
    def of(cls, columns: Floats) -> "Scaling":
        """Return the scaling of columns, a constant one left alone."""
        logs = np.log1p(columns)
        sd = logs.std(axis=0)
        return cls(logs.mean(axis=0), np.where(sd > 0, sd, 1.0))

    def apply(self, columns: Floats) -> Floats:
        """Return scaled columns, the same shape."""
        return np.asarray((np.log1p(columns) - self.mean) / self.sd)


@dataclass(frozen=True)
class Mixture:
    """K clusters of scaled columns.

    Attributes:
        share: of people, sum 1, shape (K,).
        mean: shape (K, d).
        variance: above 0, shape (K, d).
    """

    share: Floats
    mean: Floats
    variance: Floats

    def membership(self, scaled: Floats) -> tuple[Floats, float]:
        """Return how likely each person is in each cluster, shape (n, K), and the log-likelihood of all."""
        apart = (scaled[:, None, :] - self.mean) ** 2 / self.variance + np.log(2 * np.pi * self.variance)
        logs = np.log(self.share) - 0.5 * apart.sum(axis=2)
        most = logs.max(axis=1, keepdims=True)
        total = most + np.log(np.exp(logs - most).sum(axis=1, keepdims=True))
        return np.exp(logs - total), float(total.sum())


@dataclass(frozen=True)
class Clusters:
    """What is published.

    Attributes:
        scaling: of the columns.
        mixture: the clusters, the largest first.
        stability: mean adjusted Rand index over bootstraps, 1 where they are always the same.
    """

    scaling: Scaling
    mixture: Mixture
    stability: float


def fit(columns: Floats, *, seed: int) -> Clusters:
    """Return clusters that the data would give again.

    Args:
        columns: what people do, at least 0, finite, shape (n, d).
        seed: of the starts and the bootstraps.

    Raises:
        NotEnoughData: fewer than 300 people, one cluster only, or unstable ones.
        ValueError: a value is negative or not finite.
    """
    found = find(columns, seed=seed)
    if why := unstable(found.stability):
        raise NotEnoughData(why)
    return found


def find(columns: Floats, *, seed: int) -> Clusters:
    """Return the clusters of a sample with their stability, whatever it is; arguments and errors as of ``fit``.

    Raises:
        NotEnoughData: fewer than 300 people, or one cluster only.
        ValueError: a value is negative or not finite.
    """
    if not (np.isfinite(columns).all() and (columns >= 0).all()):
        raise ValueError("columns: expected finite values, at least 0")
    if len(columns) < FEWEST_PEOPLE:
        raise NotEnoughData(f"not enough data: {len(columns)} people; at least {FEWEST_PEOPLE} are needed")
    rng, scaling = np.random.default_rng(seed), Scaling.of(columns)
    scaled = scaling.apply(columns)
    found = _by_bic(scaled, rng)
    if len(found.share) == 1:
        raise NotEnoughData("no clusters: one group describes everybody best")
    return Clusters(scaling, found, _stability(scaled, found, rng))


def unstable(stability: float) -> str:
    """Return why clusters of this stability may not be published; empty where they may."""
    if stability >= LEAST_STABILITY:
        return ""
    return f"no clusters: other samples would give others (stability {stability:.2f}; at least {LEAST_STABILITY})"


def _by_bic(scaled: Floats, rng: np.random.Generator) -> Mixture:
    best, least = None, np.inf
    for count in range(1, MOST_CLUSTERS + 1):
        found, likely = _best_of(scaled, count, rng)
        if found.share.min() * len(scaled) < FEWEST_IN_ONE:
            continue
        free = count * (2 * scaled.shape[1] + 1) - 1
        cost = free * np.log(len(scaled)) - 2 * likely
        if cost < least:
            best, least = found, cost
    if best is None:
        raise NotEnoughData("no clusters: every one of them would be too small")
    order = np.argsort(-best.share, kind="stable")
    return Mixture(best.share[order], best.mean[order], best.variance[order])


def _best_of(scaled: Floats, count: int, rng: np.random.Generator) -> tuple[Mixture, float]:
    tried = [_expectation_maximisation(scaled, count, rng) for _ in range(STARTS if count > 1 else 1)]
    return max(tried, key=lambda each: each[1])


def _expectation_maximisation(scaled: Floats, count: int, rng: np.random.Generator) -> tuple[Mixture, float]:
    centres = [scaled[rng.integers(len(scaled))]]
    far = ((scaled - centres[0]) ** 2).sum(axis=1)
    for _ in range(count - 1):
        centres.append(scaled[rng.choice(len(scaled), p=far / far.sum() if far.sum() > 0 else None)])
        far = np.minimum(far, ((scaled - centres[-1]) ** 2).sum(axis=1))
    found = Mixture(np.full(count, 1 / count), np.array(centres), np.ones((count, scaled.shape[1])))
    before = -np.inf
    for _ in range(ROUNDS):
        belongs, likely = found.membership(scaled)
        if likely - before < 1e-6 * len(scaled):
            break
        before, total = likely, belongs.sum(axis=0) + 1e-9
        mean = belongs.T @ scaled / total[:, None]
        variance = belongs.T @ scaled**2 / total[:, None] - mean**2
        found = Mixture(total / total.sum(), mean, np.maximum(variance, LEAST_VARIANCE))
    return found, found.membership(scaled)[1]


def _stability(scaled: Floats, found: Mixture, rng: np.random.Generator) -> float:
    """Return how alike everybody is sorted by clusters of bootstrap samples and by these."""
    ours = found.membership(scaled)[0].argmax(axis=1)
    alike = []
    for _ in range(BOOTSTRAPS):
        rows = rng.integers(0, len(scaled), len(scaled))
        other, _ = _best_of(scaled[rows], len(found.share), rng)
        alike.append(adjusted_rand(ours, other.membership(scaled)[0].argmax(axis=1)))
    return float(np.mean(alike))


def adjusted_rand(one: Integers, other: Integers) -> float:
    """Return the adjusted Rand index of two ways to sort the same people: 1 is the same, 0 is chance."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)
    pairs = (table * (table - 1) / 2).sum()
    rows, columns = ((each * (each - 1) / 2).sum() for each in (table.sum(axis=1), table.sum(axis=0)))
    chance = rows * columns / (len(one) * (len(one) - 1) / 2)
    most = (rows + columns) / 2
    return float((pairs - chance) / (most - chance)) if most != chance else 1.0
