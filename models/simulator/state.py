"""What a policy sees of a day, what it answers, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.simulator.chances import Truth
from models.simulator.population import Booleans
from models.simulator.rhythms import Floats, Integers
from models.simulator.scenarios import CHANNELS

MOST_SENDS_A_DAY = 6
"""To one person."""


class BadPolicy(ValueError):
    """A policy asked for what cannot be; says what."""


@dataclass(frozen=True)
class Sends:
    """m messages a policy wants sent on one day.

    Attributes:
        who: people, shape (m,); one may come up to six times.
        channel: index into ``CHANNELS``, shape (m,).
        variant: shape (m,).
        hour: of the day, in [0, 24), shape (m,).
        probability: chance the policy gave this variant, in (0, 1], shape (m,).
    """

    who: Integers
    channel: Integers
    variant: Integers
    hour: Floats
    probability: Floats

    def __len__(self) -> int:
        """Number of messages."""
        return len(self.who)

    @classmethod
    def nothing(cls) -> "Sends":
        """Return no message."""
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, none, np.empty(0), np.empty(0))

    def some(self, rows: Any) -> "Sends":
        """Return some of the messages, by index or mask."""
        return Sends(self.who[rows], self.channel[rows], self.variant[rows], self.hour[rows], self.probability[rows])

    def in_turn(self) -> tuple["Sends", Integers]:
        """Return the messages by person and hour, and which of the person's that day each is, from 0."""
        ordered = self.some(np.lexsort((self.hour, self.who)))
        first = np.r_[True, ordered.who[1:] != ordered.who[:-1]] if len(self) else np.empty(0, dtype=bool)
        start = np.maximum.accumulate(np.where(first, np.arange(len(self)), 0))
        return ordered, (np.arange(len(self)) - start).astype(np.int64)

    def check(self, people: int, shown: Integers) -> None:
        """Refuse what cannot be.

        Raises:
            BadPolicy: lengths differ, or a person, channel, variant, hour or probability is out of range.
        """
        parts = {"channel": self.channel, "variant": self.variant, "hour": self.hour, "probability": self.probability}
        for name, part in parts.items():
            if len(part) != len(self):
                raise BadPolicy(f"{name}: expected {len(self)} values, one for each message")
        rules = {
            f"who: expected 0 to {people - 1}": (self.who >= 0) & (self.who < people),
            f"channel: expected 0 to {len(CHANNELS) - 1}": (self.channel >= 0) & (self.channel < len(CHANNELS)),
            "variant: expected one that is shown that day": np.isin(self.variant, shown),
            "hour: expected 0 to below 24": (self.hour >= 0) & (self.hour < 24),  # noqa: PLR2004
            "probability: expected above 0, at most 1": (self.probability > 0) & (self.probability <= 1),
        }
        for rule, holds in rules.items():
            if not bool(np.all(holds)):
                raise BadPolicy(rule)
        if len(self) and int(np.bincount(self.who).max()) > MOST_SENDS_A_DAY:
            raise BadPolicy(f"who: expected each person at most {MOST_SENDS_A_DAY} times a day")


@dataclass
class Seen:
    """What a sender knows after some days; changed in place every day.

    Attributes:
        consent: who may be written to on which channel, shape (n, C).
        sent: messages so far, shape (n, C).
        opened: opens so far, shape (n, C).
        visits: visits so far by hour of the week, shape (n, 168).
        last_day: day of the last message, -1 for never, shape (n,).
        yesterday: yesterday's messages with what came of them; the columns of ``Run.sends``.
    """

    consent: Booleans
    sent: Integers
    opened: Integers
    visits: Integers
    last_day: Integers
    yesterday: pd.DataFrame


@dataclass(frozen=True)
class DayState:
    """One morning, as a policy gets it.

    Attributes:
        day: from 0; day 0 is a Monday.
        shown: variants that may be shown, indices.
        interests: what is known of people's topics, shape (n, 8).
        variant_topics: topics of all variants, shape (V, 8).
        seen: what the sender knows of the past.
        dice: randomness of the policy's own, the same for every policy of a seed.
        truth: the laws themselves; for oracles only.
    """

    day: int
    shown: Integers
    interests: Floats
    variant_topics: Floats
    seen: Seen
    dice: np.random.Generator
    truth: Truth

    @property
    def people(self) -> int:
        """Number of people."""
        return len(self.interests)


Policy = Callable[[DayState], Sends]
"""What is sent on a day. It may keep what it learns in itself; a new one is made for every run."""
