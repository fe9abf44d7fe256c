"""What is expected of every option of a batch of decisions: arrays over decisions and channels, from models or priors.

A model that is not there leaves its prior in place; nothing here reads a store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from domain.expected import HOURS_OF_WEEK, Activity, ChannelTerms, Expected
from domain.gates import Screened, Situation
from domain.values import Channel
from serving.scoring import Scored

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Priors:
    """What is believed of a channel before anything was learnt: a share per message, by channel."""

    p_open: Mapping[Channel, float]
    p_opt_out: Mapping[Channel, float]
    fatigue_weight: Mapping[Channel, float]
    channel_value: float
    p_active: float


PRIORS = Priors(
    p_open={
        Channel.EMAIL: 0.018,
        Channel.SMS: 0.060,
        Channel.PUSH: 0.035,
        Channel.IN_APP: 0.10,
        Channel.WEB: 0.05,
        Channel.VOICE: 0.06,
    },
    p_opt_out={
        Channel.EMAIL: 0.0015,
        Channel.SMS: 0.010,
        Channel.PUSH: 0.0008,
        Channel.IN_APP: 0.0001,
        Channel.WEB: 0.0003,
        Channel.VOICE: 0.010,
    },
    fatigue_weight={
        Channel.EMAIL: 0.6,
        Channel.SMS: 1.5,
        Channel.PUSH: 1.0,
        Channel.IN_APP: 0.3,
        Channel.WEB: 0.3,
        Channel.VOICE: 1.5,
    },
    channel_value=1.0,
    p_active=0.3,
)
"""Base rates of the simulated population (docs/simulator.md); web and voice are those of the channel most like them."""

FATIGUE_HALF_LIFE_DAYS = 2.0
_IGNORED = 1.1
_ON_OPEN, _ON_OPT_OUT = -0.10, 0.15
POPULATION = Activity(source="flat", log_rates=(0.0,) * HOURS_OF_WEEK)


def expected(
    situations: Sequence[Situation],
    screened: Sequence[Screened],
    scored: Sequence[Scored | None],
    *,
    send_cost: float,
    prices: Mapping[Channel, float] | None = None,
) -> list[Expected]:
    """Return what is expected of each decision's permitted channels, in the order given.

    Args:
        situations: n decisions.
        screened: what the gates left of each.
        scored: what the engagement model said of each, None where it was not asked.
        send_cost: of one message, in conversions.
        prices: of a unit of each channel's volume, in conversions.
    """
    places = [(row, channel) for row, each in enumerate(screened) for channel in each.permitted]
    fatigue = _fatigue(situations)
    weary = np.array([fatigue[row] for row, _ in places], dtype=np.float64)
    p_open = _moved([PRIORS.p_open[channel] for _, channel in places], _ON_OPEN * weary)
    p_opt_out = _moved([PRIORS.p_opt_out[channel] for _, channel in places], _ON_OPT_OUT * weary)
    terms: list[dict[Channel, ChannelTerms]] = [{} for _ in situations]
    for place, (row, channel) in enumerate(places):
        told = scored[row]
        p_convert = told.p_convert if told is not None else None
        terms[row][channel] = ChannelTerms(
            p_open=float(p_open[place]),
            p_active=PRIORS.p_active,
            p_convert=p_convert[channel] if p_convert is not None else None,
            p_opt_out=float(p_opt_out[place]),
            channel_value=PRIORS.channel_value,
            cost=send_cost,
            price=(prices or {}).get(channel, 0.0),
            fatigue=float(weary[place]),
        )
    return [
        Expected(
            channels=each,
            activity=POPULATION,
            is_personal=(told := scored[row]) is not None and told.p_convert is not None,
        )
        for row, each in enumerate(terms)
    ]


def _moved(base: Sequence[float], by: Floats) -> Floats:
    """Return shares moved on the scale of log-odds."""
    moved: Floats = expit(logit(np.asarray(base, dtype=np.float64)) + by)
    return moved


def _fatigue(situations: Sequence[Situation]) -> Floats:
    """Return the weariness of each recipient from the contacts that are known, decayed; all as if ignored."""
    found = np.zeros(len(situations))
    for row, situation in enumerate(situations):
        contacts = situation.allowances.spent.contacts
        if contacts:
            days = np.array([(situation.now - each.at).total_seconds() / 86_400 for each in contacts])
            weights = np.array([PRIORS.fatigue_weight[each.channel] for each in contacts])
            found[row] = float(np.sum(_IGNORED * weights * 2.0 ** (-np.maximum(days, 0) / FATIGUE_HALF_LIFE_DAYS)))
    return found
