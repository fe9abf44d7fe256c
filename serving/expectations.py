"""What is expected of every option of a batch of decisions: arrays over decisions and channels, from models or priors.

A model that is not there leaves its prior in place; nothing here reads a store.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from domain.expected import Activity, ChannelTerms, Expected
from domain.gates import Screened, Situation
from domain.values import Channel
from models.channel_value import spec as channels
from models.fatigue import score as weariness
from models.fatigue import spec as fatigue
from models.send_time import spec as send_time
from serving.scoring import Scored

Floats = npt.NDArray[np.float64]

POPULATION = Activity(source="population", log_rates=send_time.POPULATION_LOG_ACTIVITY)
P_ACTIVE = 0.3
"""Share of recipients who are there in the window anyway: the simulated population's (docs/simulator.md)."""
CHANNEL_VALUE = 1.0
"""What losing a channel costs before anybody measured it: one conversion."""
_SECONDS_A_DAY = 86_400


def expected(
    situations: Sequence[Situation],
    screened: Sequence[Screened],
    scored: Sequence[Scored | None],
    *,
    send_cost: float,
    tires: Sequence[bool] | None = None,
) -> list[Expected]:
    """Return what is expected of each decision's permitted channels, in the order given.

    Args:
        situations: n decisions.
        screened: what the gates left of each.
        scored: what the engagement model said of each, None where it was not asked.
        send_cost: of one message, in conversions.
        tires: of each decision, whether weariness counts; None is all of them.
    """
    places = [(row, channel) for row, each in enumerate(screened) for channel in each.permitted]
    tired = _weariness(situations)
    if tires is not None:
        tired = np.where(np.array(tires, dtype=bool), tired, 0.0)
    weary = tired[[row for row, _ in places]] if places else np.zeros(0)
    p_open = weariness.open_chance(np.array([channels.PRIOR_OPEN[channel] for _, channel in places]), weary)
    p_opt_out = weariness.opt_out_chance(np.array([channels.PRIOR_OPT_OUT[channel] for _, channel in places]), weary)
    terms: list[dict[Channel, ChannelTerms]] = [{} for _ in situations]
    for place, (row, channel) in enumerate(places):
        told = scored[row]
        p_convert = told.p_convert if told is not None else None
        terms[row][channel] = ChannelTerms(
            p_open=float(p_open[place]),
            p_active=P_ACTIVE,
            p_convert=p_convert[channel] if p_convert is not None else None,
            p_opt_out=float(p_opt_out[place]),
            channel_value=CHANNEL_VALUE,
            cost=send_cost,
            price=prices.of(channel) if (prices := situations[row].prices) is not None else 0.0,
            fatigue=float(weary[place]),
            boost=situations[row].ruled.boost(channel),
        )
    return [
        Expected(
            channels=each,
            activity=POPULATION,
            is_personal=_is_personal(scored[row]) or situations[row].ruled.is_personal,
        )
        for row, each in enumerate(terms)
    ]


def _is_personal(scored: Scored | None) -> bool:
    return scored is not None and scored.p_convert is not None


def _weariness(situations: Sequence[Situation]) -> Floats:
    """Return how weary each recipient is of the contacts that are known; all as if ignored, for nobody says more."""
    contacts = [
        (row, (each.now - contact.at).total_seconds() / _SECONDS_A_DAY, fatigue.LOAD[contact.channel])
        for row, each in enumerate(situations)
        for contact in each.allowances.spent.contacts
    ]
    recipient, age, load = zip(*contacts, strict=True) if contacts else ((), (), ())
    return weariness.level(
        np.array(recipient, dtype=np.int64),
        np.array(age, dtype=np.float64),
        np.array(load, dtype=np.float64),
        np.zeros(len(contacts), dtype=np.bool_),
        recipients=len(situations),
    )
