"""The laws of the population: with which chance somebody opens, opts out, comes back or buys."""

from dataclasses import dataclass

import numpy as np

from models.simulator.mind import Mind
from models.simulator.population import Population, Variants
from models.simulator.rhythms import HOURS_OF_WEEK, Floats, Integers
from models.simulator.scenarios import TOPICS, Scenario

_MOST_HABIT = 30.0
_LEAST_LIKING, _MOST_LIKING = -1.0, 1.5
_LOGIT_PURCHASE = -2.0


@dataclass(frozen=True)
class Truth:
    """Everything that decides what people do on a day; an oracle may look, a policy that is to be judged may not."""

    scenario: Scenario
    population: Population
    variants: Variants
    mind: Mind
    day: int

    def fit(self, who: Integers, variant: Integers) -> Floats:
        """Return how well variants suit people, 0 on average; arguments of one broadcast shape."""
        shared = np.einsum("...k,...k->...", self.population.topics[who], self.variants.topics[variant])
        return np.asarray(self.scenario.affinity * (shared - 1 / TOPICS))

    def opens(self, who: Integers, channel: Integers, variant: Integers, hour: Floats) -> Floats:
        """Return the chance that a message sent at ``hour`` (0 to 24) is opened; all arguments broadcast."""
        scene, people = self.scenario, self.population
        base = np.array(scene.open_rates)[channel]
        time = self.day + np.asarray(hour) / 24
        activity = people.profile[who, self.hour_of_week(hour)]
        logit = (
            np.log(base / (1 - base))
            + people.openness[who]
            + scene.timing * np.log(activity)
            + people.channel_liking[who, channel]
            + self.fit(who, variant)
            + self.variants.quality[variant]
            - scene.fatigue_on_opens * people.sensitivity[who] * self.mind.fatigue.at((who,), time)
            - scene.habit * np.minimum(self.mind.habit.at((who, variant), time), _MOST_HABIT)
        )
        return np.asarray(scene.opens_factor / (1 + np.exp(-logit)))

    def optouts(self, who: Integers, channel: Integers, variant: Integers, hour: Floats) -> Floats:
        """Return the chance that the same message makes a person leave the channel."""
        scene, people = self.scenario, self.population
        base = np.array(scene.optout_rates)[channel]
        time = self.day + np.asarray(hour) / 24
        tired = people.sensitivity[who] * self.mind.fatigue.at((who,), time)
        liking = np.clip(self.fit(who, variant), _LEAST_LIKING, _MOST_LIKING)
        logit = np.log(base / (1 - base)) + scene.fatigue_on_optouts * tired - scene.liking_on_optouts * liking
        return np.asarray(1 / (1 + np.exp(-logit)))

    def visits(self) -> Floats:
        """Return the mean number of visits this day without a message, shape (n,)."""
        everybody = np.arange(len(self.population), dtype=np.int64)
        people, scene = self.population, self.scenario
        annoyed = people.sensitivity * self.mind.annoyance.at((everybody,), float(self.day))
        return np.asarray(people.rate * np.exp(-scene.annoyance * annoyed))

    def purchases(self, who: Integers) -> Floats:
        """Return the chance that who opened buys, shape (m,)."""
        return np.asarray(1 / (1 + np.exp(-(_LOGIT_PURCHASE + self.population.value_liking[who]))))

    def hour_of_week(self, hour: Floats) -> Integers:
        """Return the hour of the week of an hour of this day, 0 to 167; day 0 is a Monday."""
        return ((self.day % 7) * 24 + np.asarray(hour).astype(np.int64)) % HOURS_OF_WEEK

    def day_profile(self) -> Floats:
        """Return the activity of each hour of this day, shape (n, 24)."""
        start = (self.day % 7) * 24
        return self.population.profile[:, start : start + 24]
