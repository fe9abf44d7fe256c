"""Named policies to compare with: ``none``, and what is sent at most ``K`` times a week in one of several ways.

All of them write to the same people on the same days, so that they differ in the choice alone:

- ``cap:K``: a variant and an hour between 8 and 22 by chance.
- ``hour:K``: the hour at which the person was seen most often.
- ``fit:K``: the variant closest to the interests that are known.
- ``oracle:K``: the variant and hour with the highest true chance of an open. Nobody can do that; it is a bound for
  one message at a time.

A channel may follow: ``cap:3:email``. Without it messages are pushes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.simulator.rhythms import HOURS_OF_WEEK, Floats, Integers
from models.simulator.scenarios import CHANNELS
from models.simulator.state import MOST_SENDS_A_DAY, BadPolicy, DayState, Policy, Sends

FIRST_HOUR, LAST_HOUR = 8, 22
"""Messages go out from 8:00 to before 22:00."""
_DAYS = 7
_MOST_A_WEEK = _DAYS * MOST_SENDS_A_DAY
_PRIOR_VISITS = 1.0
_LEAST_WORDS, _MOST_WORDS = 2, 3


@dataclass(frozen=True)
class Slots:
    """Messages that are due: to whom, and between which hours."""

    who: Integers
    first_hour: Floats
    width: float


Choice = Callable[[DayState, Slots, int], tuple[Integers, Floats, Floats]]
"""From what is due on a channel to variant, hour and the probability of the variant."""


def nothing(_: DayState) -> Sends:
    """Send nothing."""
    return Sends.nothing()


def by_name(name: str) -> Policy:
    """Return the policy of a name.

    Raises:
        BadPolicy: there is none of that name; says what there is.
    """
    if name == "none":
        return nothing
    words = name.split(":")
    known = f"none, or one of {', '.join(sorted(_CHOICES))} with messages a week, such as cap:3 or cap:3:email"
    if not _LEAST_WORDS <= len(words) <= _MOST_WORDS or words[0] not in _CHOICES or not words[1].isdecimal():
        raise BadPolicy(f"no policy {name!r}: expected {known}")
    channel = words[2] if len(words) == _MOST_WORDS else CHANNELS[0]
    if channel not in CHANNELS:
        raise BadPolicy(f"no channel {channel!r}: expected one of {', '.join(CHANNELS)}")
    return weekly(int(words[1]), _CHOICES[words[0]], CHANNELS.index(channel))


def weekly(times: int, choice: Choice, channel: int) -> Policy:
    """Return a policy that writes to everybody who agreed to a channel, ``times`` in any seven days.

    Raises:
        BadPolicy: ``times`` is not between 0 and 42.
    """
    if not 0 <= times <= _MOST_A_WEEK:
        raise BadPolicy(f"messages a week: expected 0 to {_MOST_A_WEEK}")

    def policy(state: DayState) -> Sends:
        slots = [slot for slot in _due(state, times, channel) if len(slot.who)]
        made = [(slot, *choice(state, slot, channel)) for slot in slots]
        if not made:
            return Sends.nothing()
        who, variant, hour, probability = (
            np.concatenate([each[0].who for each in made]),
            *(np.concatenate([each[part] for each in made]) for part in (1, 2, 3)),
        )
        return Sends(who, np.full(len(who), channel, dtype=np.int64), variant, hour, probability)

    return policy


def _due(state: DayState, times: int, channel: int) -> list[Slots]:
    """Return today's messages: a person's days follow from a place in the week, spread evenly."""
    offset = np.arange(state.people, dtype=np.int64) % _DAYS
    until = ((state.day + 1 + offset) * times) // _DAYS
    count = until - ((state.day + offset) * times) // _DAYS
    count = np.where(state.seen.consent[:, channel], count, 0)
    most = int(count.max(initial=0))
    made = []
    for turn in range(most):
        who = np.flatnonzero(count > turn).astype(np.int64)
        width = (LAST_HOUR - FIRST_HOUR) / most
        made.append(Slots(who, np.full(len(who), FIRST_HOUR + turn * width), width))
    return made


def _by_chance(state: DayState, slots: Slots, _: int) -> tuple[Integers, Floats, Floats]:
    variant, probability = _any_variant(state, len(slots.who))
    return variant, _any_hour(state, slots), probability


def _own_hour(state: DayState, slots: Slots, _: int) -> tuple[Integers, Floats, Floats]:
    variant, probability = _any_variant(state, len(slots.who))
    hours = _hours(slots)
    seen = state.seen.visits[slots.who].reshape(-1, HOURS_OF_WEEK // 24, 24).sum(axis=1)
    # A neighbour's visits count too, and where nothing was seen chance decides.
    near = seen + 0.5 * (np.roll(seen, 1, axis=1) + np.roll(seen, -1, axis=1))
    score = np.take_along_axis(near, hours.astype(np.int64), axis=1) + state.dice.uniform(0, _PRIOR_VISITS, hours.shape)
    return variant, _at(hours, score), probability


def _closest_variant(state: DayState, slots: Slots, _: int) -> tuple[Integers, Floats, Floats]:
    fit = state.interests[slots.who] @ state.variant_topics[state.shown].T
    return state.shown[fit.argmax(axis=1)], _any_hour(state, slots), np.ones(len(slots.who))


def _best(state: DayState, slots: Slots, channel: int) -> tuple[Integers, Floats, Floats]:
    hours = _hours(slots)
    chance = state.truth.opens(
        slots.who[:, None, None], np.full((1, 1, 1), channel), state.shown[None, :, None], hours[:, None, :]
    )
    flat = chance.reshape(len(slots.who), -1).argmax(axis=1)
    variant, hour = np.divmod(flat, hours.shape[1])
    return state.shown[variant], hours[np.arange(len(hours)), hour], np.ones(len(hours))


def _any_variant(state: DayState, count: int) -> tuple[Integers, Floats]:
    return state.dice.choice(state.shown, count), np.full(count, 1 / len(state.shown))


def _any_hour(state: DayState, slots: Slots) -> Floats:
    return slots.first_hour + state.dice.uniform(0, slots.width, len(slots.who))


def _hours(slots: Slots) -> Floats:
    """Return the middles of the hours in each slot, shape (m, hours)."""
    steps = np.arange(0.5, max(slots.width, 1.0), 1.0)
    return np.minimum(slots.first_hour[:, None] + steps[None, :], LAST_HOUR - 0.5)


def _at(hours: Floats, score: Floats) -> Floats:
    return np.take_along_axis(hours, score.argmax(axis=1)[:, None], axis=1)[:, 0]


_CHOICES: dict[str, Choice] = {"cap": _by_chance, "hour": _own_hour, "fit": _closest_variant, "oracle": _best}
