"""The policies that play in the content world: ours, simple ones, and other projects' they are compared with."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import peers
from benchmarks.content_world import ContentWorld, Day, Floats, Policy
from models.arm_draws import floored
from models.content_bandit.bandit import ContentBandit, Outcomes, Settings
from models.content_bandit.exploration import inverse_gap
from models.recovering_softmax.policy import RecoveringSoftmax
from models.recovering_softmax.sums import ArmSums

FLOOR = 0.02
PRIOR_OPEN_RATE = 0.04


class Uniform:
    """Each possible variant alike."""

    def probabilities(self, day: Day) -> Floats:
        """Return 1 / |E|."""
        return floored(np.zeros(day.eligible.shape), day.eligible, 1.0)

    def learn(self, day: Day, probabilities: Floats, outcomes: Outcomes) -> None:
        """Learn nothing."""


class Oracle(Uniform):
    """The variant with the truly highest chance now."""

    def probabilities(self, day: Day) -> Floats:
        """Return 1 for the best."""
        best = np.where(day.eligible, day.chance, -1).argmax(axis=1)
        sure: Floats = np.eye(day.chance.shape[1])[best]
        return sure


class BestMean:
    """The possible variant with the highest open rate so far, the same for everybody, with a floor."""

    def __init__(self, arms: int) -> None:
        self.opened, self.sent = np.full(arms, PRIOR_OPEN_RATE), np.ones(arms)

    def probabilities(self, day: Day) -> Floats:
        """Return the best mean's arm, floored."""
        best = np.where(day.eligible, self.opened / self.sent, -1).argmax(axis=1)
        return floored(np.eye(len(self.sent))[best], day.eligible, FLOOR)

    def learn(self, day: Day, probabilities: Floats, outcomes: Outcomes) -> None:  # noqa: ARG002
        """Count."""
        self.sent += np.bincount(outcomes.arm, minlength=len(self.sent))
        self.opened += np.bincount(outcomes.arm, outcomes.reward, minlength=len(self.sent))


@dataclass
class Recovering:
    """Recovering difference softmax with the published numbers; ``accumulated`` counts every exposure."""

    policy: RecoveringSoftmax

    def probabilities(self, day: Day) -> Floats:
        """Return the softmax."""
        return self.policy.probabilities(day.exposure, day.eligible)

    def learn(self, day: Day, probabilities: Floats, outcomes: Outcomes) -> None:
        """Add to the sums."""
        sums = self.policy.sums.added(probabilities, day.eligible, outcomes.arm, outcomes.reward)
        self.policy = replace(self.policy, sums=sums)


@dataclass
class Bandit:
    """The content bandit by inverse-gap weighting."""

    bandit: ContentBandit

    def probabilities(self, day: Day) -> Floats:
        """Return the closed form."""
        return self.bandit.probabilities(day.context, day.exposure, day.eligible)

    def learn(self, day: Day, probabilities: Floats, outcomes: Outcomes) -> None:  # noqa: ARG002
        """Learn a day as one micro-batch."""
        self.bandit = self.bandit.learned(outcomes, elapsed_days=1.0)


class Greedy(Bandit):
    """The same belief, always its best variant but for the floor."""

    def probabilities(self, day: Day) -> Floats:
        """Return the best expected arm, floored."""
        values = self.bandit.expected(day.context, day.exposure)
        return inverse_gap(values, day.eligible, gap_weight=1e15, floor=FLOOR)


class Thompson(Bandit):
    """The same belief, arms as often as they are best in draws from it."""

    def probabilities(self, day: Day) -> Floats:
        """Return the counted form."""
        return self.bandit.thompson_probabilities(day.context, day.exposure, day.eligible, day.ids)


def fresh(world: ContentWorld, settings: Settings | None = None) -> ContentBandit:
    """Return a bandit that knows the variants' topics and a rough open rate."""
    return ContentBandit.fresh(world.layout, base_rate=PRIOR_OPEN_RATE, settings=settings)


def recovering(world: ContentWorld) -> Recovering:
    """Return recovering difference softmax that saw nothing."""
    return Recovering(RecoveringSoftmax(world.layout.arms, ArmSums.empty(world.arms)))


class Other:
    """A policy of another project, in its own process."""

    def __init__(self, world: ContentWorld, company: peers.Company) -> None:
        self._company = company
        company.ask(items=world.layout.table)

    def probabilities(self, day: Day) -> Floats:
        """Return what the peer says."""
        told = self._company.ask(context=day.context, exposure=day.exposure, eligible=day.eligible)
        return np.asarray(told["probabilities"])

    def learn(self, day: Day, probabilities: Floats, outcomes: Outcomes) -> None:
        """Hand a day's outcomes over."""
        self._company.ask(
            context=day.context,
            exposure=day.exposure,
            eligible=day.eligible,
            probabilities=probabilities,
            arm=outcomes.arm,
            reward=outcomes.reward,
        )


POLICIES: dict[str, Callable[[ContentWorld], Policy]] = {
    "uniform": lambda _: Uniform(),
    "best_mean": lambda world: BestMean(world.arms),
    "recovering_softmax": recovering,
    "inverse_gap": lambda world: Bandit(fresh(world)),
    "greedy": lambda world: Greedy(fresh(world)),
    "oracle": lambda _: Oracle(),
}
"""By name; the oracle looks at the truth, one decision ahead."""

SIMPLE = ("uniform", "best_mean", "recovering_softmax")
"""What anybody has without a regression."""


PEERS = ("vw_squarecb", "vw_regcb", "mabwiser_lin_ts", "mabwiser_lin_greedy")
"""Of other projects, by their names in ``peer_scripts/variant_policies.py``."""


def compare(seed: int, days: int) -> dict[str, float]:
    """Return the mean true open rate in one seed's world of each policy of ours and each simple one."""
    return {name: played(make, seed, days) for name, make in POLICIES.items()}


def compare_peer(name: str, seed: int, days: int) -> float:
    """Return the same of a peer.

    Raises:
        Unavailable: it cannot be run here.
    """
    company = peers.Company(peers.BANDITS, "variant_policies.py", name)
    try:
        return played(lambda world: Other(world, company), seed, days)
    finally:
        company.close()


def played(make: Callable[[ContentWorld], Policy], seed: int, days: int) -> float:
    """Return the mean true open rate of a policy in a new world of a seed."""
    world = ContentWorld(seed)
    return float(world.play(make(world), days).mean())
