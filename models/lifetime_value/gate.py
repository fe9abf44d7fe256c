"""Whether a model of customers may take the champion's place: better than a constant, no worse than it, calibrated.

Judged on a time held out. Losses are proper: log-loss for the chance that nothing is bought; for amounts the deviance
of a compound Poisson law (Tweedie, power 1.5), which takes customers who spent nothing as they come.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from models.lifetime_value import spec
from models.lifetime_value.summary import Floats
from models.promotion.finding import Claim, Finding, unknown
from models.promotion.rows import LEAST_ROWS, Scored, mean, observed_expected
from models.promotion.serving_limits import MOST_BYTES, MOST_MILLISECONDS, ROWS_OF_A_DECISION

_FLOOR = 1e-6
_POWER = 1.5


@dataclass(frozen=True)
class Judged:
    """What a model told of n customers, and what the time held out showed of each.

    Attributes:
        name: of the registered model.
        told: by the model fitted before that time, shape (n,).
        came: minor units spent, or 1 where nothing was bought, shape (n,).
        base: what the 30 days before say of everybody; None where there is no such time.
        final: by the version itself, which like the champion saw that time, shape (n,).
        champion: by the champion, shape (n,); None without one.
    """

    name: str
    told: Floats
    came: Floats
    base: float | None
    final: Floats
    champion: Floats | None

    def loss(self, told: Floats) -> Floats:
        """Return the loss of each customer, shape (n,); lower is better."""
        if self.name == spec.CHURN:
            p = np.clip(told, _FLOOR, 1 - _FLOOR)
            return np.asarray(-(self.came * np.log(p) + (1 - self.came) * np.log1p(-p)))
        return deviance(told, self.came)

    @property
    def skill(self) -> float | None:
        """The share of a constant's loss that is saved; None without a constant."""
        if self.base is None:
            return None
        constant = self.loss(np.full(len(self.came), self.base)).mean()
        return float(1 - self.loss(self.told).mean() / constant) if constant > 0 else None

    @property
    def rank(self) -> float:
        """How well customers are ordered, -1 to 1: Spearman's correlation; 0 where nothing differs."""
        if np.ptp(self.told) == 0 or np.ptp(self.came) == 0:
            return 0.0
        return float(np.nan_to_num(spearmanr(self.told, self.came).statistic))


@dataclass(frozen=True)
class Shown:
    """What a version shows of itself: scores of sample customers, its size, its best time for 48 of them."""

    scores: Floats
    problem: str | None
    size: int
    milliseconds: float


def deviance(told: Floats, came: Floats) -> Floats:
    """Return the Tweedie deviance of power 1.5, shape (n,), at least 0, for amounts at least 0."""
    mu, y = np.maximum(told, _FLOOR), came
    parts = (
        y ** (2 - _POWER) / ((1 - _POWER) * (2 - _POWER))
        - y * mu ** (1 - _POWER) / (1 - _POWER)
        + mu ** (2 - _POWER) / (2 - _POWER)
    )
    return np.asarray(np.maximum(2 * parts, 0.0))


def findings(judged: Judged) -> Iterator[Finding]:
    """Hold a model to the time that was held out."""
    claim = Claim.BEATS_CHAMPION
    if len(judged.came) < LEAST_ROWS:
        yield unknown(claim, "customers", f"{len(judged.came)} customers, {LEAST_ROWS} are needed to judge")
        return
    yield _skill(judged)
    order = f"customers are ordered as they came, Spearman {judged.rank:.3f}: must lie above 0"
    yield Finding(claim, "rank", judged.rank > 0, judged.rank, 0.0, order)
    yield _beside(judged)
    yield _calibrated(judged)


def fit_to_serve(name: str, shown: Shown) -> Iterator[Finding]:
    """Hold what a version shows of itself against the limits of serving."""
    claim = Claim.FIT_TO_SERVE
    within = np.isfinite(shown.scores) & (shown.scores >= 0)
    if name == spec.CHURN:
        within &= shown.scores <= 1
    sound = int(within.sum())
    told = shown.problem or f"{sound} of {len(shown.scores)} sample scores are finite and in range"
    whole = shown.problem is None and sound == len(shown.scores) > 0
    yield Finding(claim, "canary.finite", whole, sound / max(len(shown.scores), 1), 1.0, f"canary rows: {told}")
    size = f"{shown.size} bytes: at most {MOST_BYTES}"
    yield Finding(claim, "size.bytes", shown.size <= MOST_BYTES, float(shown.size), float(MOST_BYTES), size)
    took, limit = shown.milliseconds, MOST_MILLISECONDS
    sentence = f"{took:.2f} ms for {ROWS_OF_A_DECISION} rows: at most {limit}"
    yield Finding(claim, "latency.milliseconds", took <= limit, took, limit, sentence)


def _skill(judged: Judged) -> Finding:
    claim, skill = Claim.BEATS_CHAMPION, judged.skill
    if skill is None:
        return unknown(claim, "skill", f"nothing is known of the {spec.HORIZON_DAYS} days before, to compare with")
    sentence = f"skill over what the {spec.HORIZON_DAYS} days before say of everybody {skill:.4f}: must lie above 0"
    return Finding(claim, "skill", skill > 0, skill, 0.0, sentence)


def _beside(judged: Judged) -> Finding:
    claim, condition = Claim.BEATS_CHAMPION, "champion.loss"
    if judged.champion is None:
        return unknown(claim, condition, "there is no other champion")
    mine, theirs = judged.loss(judged.final), judged.loss(judged.champion)
    rise = mean(mine - theirs, np.arange(len(mine)))
    sentence = (
        f"loss {mine.mean():.4f}, the champion's {theirs.mean():.4f} on the same {len(mine)} customers;"
        f" the interval of the rise begins at {rise.low:.4f} and must not lie above 0"
    )
    return Finding(claim, condition, rise.low <= 0, rise.low, 0.0, sentence)


def _calibrated(judged: Judged) -> Finding:
    low, high = spec.SILENT_OBSERVED_EXPECTED if judged.name == spec.CHURN else spec.OBSERVED_EXPECTED
    told = observed_expected(Scored(judged.came, np.maximum(judged.told, _FLOOR), np.arange(len(judged.came))))
    what = "customers who bought nothing" if judged.name == spec.CHURN else "minor units spent"
    sentence = (
        f"{what}, observed over expected {told.value:.2f}, interval {told.low:.2f} to {told.high:.2f}:"
        f" must touch {low} to {high}"
    )
    limit = low if told.value < 1 else high
    held = not told.misses(low, high)
    return Finding(Claim.CALIBRATED, "observed_expected", held, told.value, limit, sentence)
