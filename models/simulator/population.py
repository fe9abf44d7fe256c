"""Who is in a population: what each person is like, and the variants of a message there are to show them."""

from dataclasses import dataclass, replace

import numpy as np

from models.simulator import rhythms
from models.simulator.rhythms import Floats, Integers
from models.simulator.scenarios import CHANNELS, TOPICS, Scenario

Booleans = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

_TYPICAL_RATE = 0.35
_SENSITIVE = 3.0
_DRIFT_PER_DAY, _TOPIC_SHARE_PER_DAY = 1 / 180, 0.002
_VALUE_WEIGHT = 0.5


@dataclass(frozen=True)
class Population:
    """n people, C channels. What is hidden from a sender is hidden from a policy, ``interests`` excepted.

    Attributes:
        kind: type of daily rhythm, shape (n,).
        phase: hours by which a person's day comes later, shape (n,).
        profile: activity of each hour of the week, shape (n, 168), rows of mean 1.
        rate: visits a day without any message, shape (n,).
        openness: logit by which a person opens more than another, shape (n,).
        channel_liking: the same by channel, shape (n, C).
        sensitivity: factor on fatigue, 1 or 3, shape (n,).
        harmed: whom an open costs a visit, shape (n,).
        topics: shares of interest, shape (n, 8), rows sum to 1.
        interests: what a sender knows of them, the same shape, with error.
        value_liking: logit by which who opened buys, shape (n,).
        consent: who agreed to which channel at the start, shape (n, C).
    """

    kind: Integers
    phase: Floats
    profile: Floats
    rate: Floats
    openness: Floats
    channel_liking: Floats
    sensitivity: Floats
    harmed: Booleans
    topics: Floats
    interests: Floats
    value_liking: Floats
    consent: Booleans

    def __len__(self) -> int:
        """Number of people."""
        return len(self.rate)

    @classmethod
    def drawn(cls, people: int, scenario: Scenario, dice: np.random.Generator) -> "Population":
        """Draw people."""
        kind = dice.choice(len(rhythms.TYPES), people, p=[each.share for each in rhythms.TYPES]).astype(np.int64)
        phase = dice.normal(0, 1, people)
        log_rate = dice.normal(np.log(_TYPICAL_RATE), 1, people)
        eager = 0.25 * (log_rate - np.log(_TYPICAL_RATE)) * (scenario.openness_sd > 0)
        topics = dice.dirichlet(np.full(TOPICS, 0.4), people)
        noisy = topics + np.abs(dice.normal(0, 0.05, topics.shape))
        phi = np.linspace(-_VALUE_WEIGHT, _VALUE_WEIGHT, TOPICS)
        return cls(
            kind=kind,
            phase=phase,
            profile=rhythms.smooth(people, dice) if scenario.smooth_profiles else rhythms.typed(kind, phase),
            rate=np.exp(log_rate),
            openness=dice.normal(0, 1, people) * scenario.openness_sd + eager,
            channel_liking=dice.normal(0, 1, (people, len(CHANNELS))) * scenario.channel_sd,
            sensitivity=np.where(dice.random(people) < 0.10, _SENSITIVE, 1.0),  # noqa: PLR2004
            harmed=dice.random(people) < scenario.harmed,
            topics=topics,
            interests=noisy / noisy.sum(axis=1, keepdims=True),
            value_liking=topics @ phi,
            consent=dice.random((people, len(CHANNELS))) < np.array(scenario.consent),
        )

    def drifted(self, scenario: Scenario, dice: np.random.Generator) -> "Population":
        """Return the people a day later: some live at other hours, interests moved a little."""
        movers = np.flatnonzero(dice.random(len(self)) < _DRIFT_PER_DAY)
        by = dice.uniform(3, 8, len(movers)) * dice.choice([-1, 1], len(movers))
        share = _TOPIC_SHARE_PER_DAY
        topics = (1 - share) * self.topics + share * dice.dirichlet(np.full(TOPICS, 0.4), len(self))
        phase, profile = self.phase.copy(), self.profile.copy()
        phase[movers] += by
        if scenario.smooth_profiles:
            turned = np.round(by).astype(np.int64)[:, None]
            hour = np.arange(rhythms.HOURS_OF_WEEK)[None, :]
            profile[movers] = np.take_along_axis(self.profile[movers], (hour - turned) % rhythms.HOURS_OF_WEEK, axis=1)
        else:
            profile[movers] = rhythms.typed(self.kind[movers], phase[movers])
        return replace(self, topics=topics, phase=phase, profile=profile)


@dataclass(frozen=True)
class Variants:
    """V ways to word a message.

    Attributes:
        topics: shares of topics, shape (V, 8).
        quality: appeal to everybody, logit, shape (V,).
        first_day: from which day it may be shown, shape (V,).
        last_day: until which day, itself included, shape (V,).
    """

    topics: Floats
    quality: Floats
    first_day: Integers
    last_day: Integers

    def __len__(self) -> int:
        """Number of variants, retired and coming ones included."""
        return len(self.quality)

    @classmethod
    def drawn(cls, count: int, days: int, scenario: Scenario, dice: np.random.Generator) -> "Variants":
        """Draw variants; a sixth retires after two fifths of the run, as many arrive then."""
        topics = dice.dirichlet(np.full(TOPICS, 0.4), count)
        quality = dice.normal(0, 1, count) * scenario.quality_sd
        changing, moment = count // 6, (2 * days) // 5
        first, last = np.zeros(count, dtype=np.int64), np.full(count, days, dtype=np.int64)
        last[:changing] = moment
        first[count - changing :] = moment + 1
        return cls(topics, quality, first, last)

    def shown(self, day: int) -> Integers:
        """Return the variants that may be shown on a day."""
        return np.flatnonzero((self.first_day <= day) & (day <= self.last_day)).astype(np.int64)

    def turned_around(self) -> "Variants":
        """Return the same variants with their appeal mirrored: what was best is worst."""
        return replace(self, quality=-self.quality)
