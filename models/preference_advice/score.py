"""Beta posteriors of a recipient's answers by channel and category, and the weekly volume of most utility.

    p | a, n  ~  Beta(k m + a, k (1 - m) + n - a)

with ``a`` answers to ``n`` messages and ``k`` messages of the prior mean ``m``: for the recipient as a whole the base
rates of their channels, for a channel or category the recipient as a whole, scaled by the channel's base rate. So what
is known of little is told as what is known of the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from models.channel_value.spec import PRIOR_OPEN, PRIOR_OPT_OUT
from models.preference_advice.spec import (
    FEWEST_MESSAGES,
    FEWEST_WEEKS,
    INTERVAL,
    LEAST_GAIN,
    MOST_A_WEEK,
    MUCH_LESS,
    PRIOR_MESSAGES,
)
from models.volume.score import utility
from models.volume.spec import HORIZON_WEEKS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Message:
    """A message that was sent: ``week`` counts back from now, 0 is the last seven days."""

    channel: str
    category: str | None
    week: int
    answered: bool
    opted_out: bool


@dataclass(frozen=True)
class Posterior:
    """What is believed of a chance: counts, the mean, and the ends of the interval, all in [0, 1]."""

    messages: int
    answered: int
    mean: float
    low: float
    high: float

    @property
    def is_enough(self) -> bool:
        """True when something may be concluded from it."""
        return self.messages >= FEWEST_MESSAGES


@dataclass(frozen=True)
class Volume:
    """Weekly volumes: utility by level 0 to 7 in answers, the present level, the best, and what it would add."""

    weeks: int
    present: int
    best: int
    utilities: tuple[float, ...]
    chances: tuple[Posterior, ...]

    @property
    def is_enough(self) -> bool:
        """True when enough weeks were seen."""
        return self.weeks >= FEWEST_WEEKS

    @property
    def is_better(self) -> bool:
        """True when the best level adds enough to be worth a change."""
        gain = self.utilities[self.best] - self.utilities[self.present]
        return self.is_enough and gain > LEAST_GAIN * abs(self.utilities[self.present])


def posterior(answered: int, messages: int, mean: float, strength: float = PRIOR_MESSAGES) -> Posterior:
    """Return the Beta posterior after ``answered`` of ``messages``, from a prior of ``strength`` messages.

    Raises:
        ValueError: counts that cannot be, or a prior mean outside (0, 1).
    """
    if not 0 <= answered <= messages:
        raise ValueError("answered: expected 0 to as many as were sent")
    if not 0 < mean < 1:
        raise ValueError("mean: expected between 0 and 1, neither of them")
    a, b = strength * mean + answered, strength * (1 - mean) + messages - answered
    low, high = (float(betaincinv(a, b, mass)) for mass in ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2))
    return Posterior(messages, answered, a / (a + b), low, high)


def overall(messages: Sequence[Message]) -> Posterior:
    """Return what is believed of any message to the recipient.

    Raises:
        ValueError: there is no message.
    """
    if not messages:
        raise ValueError("messages: expected at least one")
    base = sum(_base(each.channel) for each in messages) / len(messages)
    return posterior(sum(each.answered for each in messages), len(messages), base)


def by_channel(messages: Sequence[Message]) -> dict[str, Posterior]:
    """Return what is believed of each channel there was a message on, by name."""
    whole = overall(messages)
    expected = sum(_base(each.channel) for each in messages) / len(messages)
    groups = _grouped(messages, [each.channel for each in messages])
    return {name: _of(group, min(whole.mean * _base(name) / expected, 0.99)) for name, group in groups.items()}


def by_category(messages: Sequence[Message]) -> dict[str, Posterior]:
    """Return what is believed of each category there was a message of, by name."""
    whole = overall(messages)
    known = [each for each in messages if each.category is not None]
    return {name: _of(group, whole.mean) for name, group in _grouped(known, [_name(each) for each in known]).items()}


def much_worse(found: Mapping[str, Posterior]) -> tuple[str, str] | None:
    """Return which one is answered much less than the best one, and that one; None when nothing is sure enough.

    Only those of enough messages are compared: the interval of the worse must end below half the best one's beginning.
    """
    enough = {name: each for name, each in sorted(found.items()) if each.is_enough}
    if len(enough) < 2:  # noqa: PLR2004 - one has nothing to be compared with
        return None
    best = max(enough, key=lambda name: enough[name].low)
    worst = min(enough, key=lambda name: enough[name].high)
    sure = worst != best and enough[worst].high < MUCH_LESS * enough[best].low
    return (worst, best) if sure else None


def volume(messages: Sequence[Message]) -> Volume:
    """Return what each weekly volume is worth to the recipient, in answers a week.

    A level's chance of an answer is pooled with the recipient's as a whole; leaving costs twelve weeks
    the level, by ``models.volume``. Weeks without a message tell nothing of a level and are not counted.
    """
    whole = overall(messages)
    weeks = list(_grouped(messages, [str(each.week) for each in messages]).values())
    held: dict[int, list[Message]] = {}
    for week in weeks:
        held.setdefault(min(len(week), MOST_A_WEEK), []).extend(week)
    chances = tuple(_of(held.get(level, []), whole.mean) for level in range(MOST_A_WEEK + 1))
    levels = np.arange(MOST_A_WEEK + 1, dtype=np.float64)
    answers = levels * np.array([each.mean for each in chances])
    stays = 1.0 - _opt_out(messages)
    worth = utility(
        (1.0 - stays**levels)[None, :], answers[None, :], np.array([-HORIZON_WEEKS * float(answers.max())])
    )[0]
    present = min(round(len(messages) / len(weeks)), MOST_A_WEEK)
    # Of a level that was never seen nothing but the pooled chance is known; it is no reason to change.
    seen = sorted(level for level, group in held.items() if len(group) >= FEWEST_MESSAGES)
    best = max([*seen, present], key=lambda level: (worth[level], -level))
    return Volume(len(weeks), present, int(best), tuple(float(each) for each in worth), chances)


def _opt_out(messages: Sequence[Message]) -> float:
    base = sum(PRIOR_OPT_OUT.get(each.channel, _OPT_OUT) for each in messages) / len(messages)
    left = sum(each.opted_out for each in messages)
    return (PRIOR_MESSAGES * base + left) / (PRIOR_MESSAGES + len(messages))


def _of(group: Sequence[Message], mean: float) -> Posterior:
    return posterior(sum(each.answered for each in group), len(group), mean)


def _grouped(messages: Sequence[Message], names: Sequence[str]) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = {}
    for name, message in zip(names, messages, strict=True):
        found.setdefault(name, []).append(message)
    return dict(sorted(found.items()))


def _name(message: Message) -> str:
    return message.category or ""


def _base(channel: str) -> float:
    return PRIOR_OPEN.get(channel, _OPEN)


_OPEN, _OPT_OUT = sum(PRIOR_OPEN.values()) / len(PRIOR_OPEN), sum(PRIOR_OPT_OUT.values()) / len(PRIOR_OPT_OUT)
"""Of a channel that has no base rate."""
