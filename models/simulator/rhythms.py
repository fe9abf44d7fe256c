"""When people are active: hourly profiles of a week, mean 1, and hours drawn from them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

HOURS_OF_WEEK = 168
_FLOOR = 0.08
"""Share of activity that comes at any hour: nobody is never there."""
_SMOOTH_TERMS = 4


@dataclass(frozen=True)
class Type:
    """A kind of day: bumps as (hour, concentration, weight), and how much more happens at weekends."""

    share: float
    bumps: tuple[tuple[float, float, float], ...]
    weekend: float


TYPES = (
    Type(0.25, ((7.75, 8.0, 0.45), (17.75, 7.0, 0.55)), 0.7),
    Type(0.30, ((20.5, 4.0, 0.85), (12.5, 4.0, 0.15)), 1.1),
    Type(0.20, ((10.5, 3.0, 0.55), (14.5, 3.0, 0.45)), 0.35),
    Type(0.15, ((23.5, 4.0, 0.80), (15.0, 2.0, 0.20)), 1.2),
    Type(0.10, ((11.0, 2.0, 0.50), (18.0, 2.0, 0.50)), 3.0),
)
"""Commuter, evening, office, night owl, weekend."""


def typed(kinds: Integers, phases: Floats) -> Floats:
    """Return the profiles of people of these types, shifted by their own phase.

    Args:
        kinds: index into ``TYPES``, shape (n,).
        phases: hours by which everything comes later, shape (n,).

    Returns:
        Shape (n, 168), hour 0 is Monday 00:00; each row has mean 1 and no zero.
    """
    made = np.empty((len(kinds), HOURS_OF_WEEK))
    hours = np.arange(24) + 0.5
    for number, kind in enumerate(TYPES):
        who = np.flatnonzero(kinds == number)
        day = np.zeros((len(who), 24))
        for centre, concentration, weight in kind.bumps:
            angle = 2 * np.pi * (hours[None, :] - centre - phases[who, None]) / 24
            day += weight * np.exp(concentration * (np.cos(angle) - 1)) / _bump_mean(concentration)
        made[who] = _week(day, np.full(len(who), kind.weekend))
    return made


def smooth(people: int, dice: np.random.Generator) -> Floats:
    """Return profiles that no type describes: the exponential of a periodic Gaussian process, shape (people, 168)."""
    hours = 2 * np.pi * (np.arange(24) + 0.5) / 24
    orders = np.arange(1, _SMOOTH_TERMS + 1)
    scale = 1.0 / orders
    waves = np.stack([np.cos(orders[:, None] * hours), np.sin(orders[:, None] * hours)])
    weights = dice.normal(size=(people, 2, _SMOOTH_TERMS)) * scale
    day = np.exp(np.einsum("npk,pkh->nh", weights, waves))
    return _week(day / day.mean(axis=1, keepdims=True), np.exp(dice.normal(0, 0.4, people)))


def drawn_hours(profile: Floats, uniform: Floats) -> Floats:
    """Return hours of a day, drawn from the activity of that day.

    Args:
        profile: activity of each hour, shape (n, 24), positive.
        uniform: in [0, 1), shape (n,).

    Returns:
        Hours in [0, 24), shape (n,).
    """
    cumulative = np.cumsum(profile, axis=1)
    target = uniform * cumulative[:, -1]
    hour = np.minimum((cumulative <= target[:, None]).sum(axis=1), 23)
    rows = np.arange(len(hour))
    before = np.where(hour > 0, cumulative[rows, hour - 1], 0.0)
    return np.asarray(np.minimum(hour + (target - before) / profile[rows, hour], np.nextafter(24.0, 0.0)))


def _week(day: Floats, weekend: Floats) -> Floats:
    level = np.ones((len(day), 7))
    level[:, 5:] = weekend[:, None]
    made = (level[:, :, None] * (day[:, None, :] + _FLOOR)).reshape(len(day), HOURS_OF_WEEK)
    return np.asarray(made / made.mean(axis=1, keepdims=True))


def _bump_mean(concentration: float) -> float:
    angle = 2 * np.pi * np.arange(240) / 240
    return float(np.exp(concentration * (np.cos(angle) - 1)).mean())
