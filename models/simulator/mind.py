"""What messages leave behind in people: fatigue, habit and annoyance, each fading with its own half-life.

Nothing is updated by the clock: a value is kept with its moment, and faded exactly when it is read.
"""

from dataclasses import dataclass

import numpy as np

from models.simulator.rhythms import Floats, Integers
from models.simulator.scenarios import HALF_LIFE_ANNOYANCE, HALF_LIFE_FATIGUE, HALF_LIFE_HABIT

_FATIGUE_OPENED, _FATIGUE_IGNORED = 0.4, 1.1
_ANNOYED_OPENED = 0.3


class Fading:
    """Values that halve every ``half_life`` days, each with its own moment; changed in place."""

    def __init__(self, shape: tuple[int, ...], half_life: float) -> None:
        self._value, self._since, self._half_life = np.zeros(shape), np.zeros(shape), half_life

    def at(self, where: tuple[Integers, ...], time: Floats | float) -> Floats:
        """Return the values there at these moments (days), none before what was added last."""
        elapsed = np.asarray(time) - self._since[where]
        return np.asarray(self._value[where] * np.exp2(-elapsed / self._half_life))

    def add(self, where: tuple[Integers, ...], time: Floats, amount: Floats | float) -> None:
        """Add to the values there; no place may come twice."""
        self._value[where] = self.at(where, time) + amount
        self._since[where] = time


@dataclass(frozen=True)
class Mind:
    """The state of n people towards V variants.

    Attributes:
        fatigue: (n,) of messages of the last days.
        habit: (n, V) of each variant.
        annoyance: (n,) lasting, lowers what people do without messages.
    """

    fatigue: Fading
    habit: Fading
    annoyance: Fading

    @classmethod
    def rested(cls, people: int, variants: int) -> "Mind":
        """Return people who never got anything."""
        return cls(
            Fading((people,), HALF_LIFE_FATIGUE),
            Fading((people, variants), HALF_LIFE_HABIT),
            Fading((people,), HALF_LIFE_ANNOYANCE),
        )

    def feel(
        self, who: Integers, variant: Integers, time: Floats, *, load: Floats, opened: Floats, fit: Floats
    ) -> None:
        """Take in one message each.

        Args:
            who: people, each at most once, shape (m,).
            variant: what they got, shape (m,).
            time: when, in days, shape (m,).
            load: of its channel, shape (m,).
            opened: 1 where it was opened, else 0, shape (m,).
            fit: between person and variant; what fits annoys less, shape (m,).
        """
        self.fatigue.add((who,), time, load * np.where(opened > 0, _FATIGUE_OPENED, _FATIGUE_IGNORED))
        self.habit.add((who, variant), time, 1.0)
        misfit = 1 / (1 + np.exp(fit))
        self.annoyance.add((who,), time, load * misfit * np.where(opened > 0, _ANNOYED_OPENED, 1.0))
