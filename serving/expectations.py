"""What is expected of every option of a batch of decisions: arrays over decisions and channels, from models or priors.

A model that is not there leaves its prior in place; nothing here reads a store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from domain.expected import Activity, ChannelTerms, Expected, Slopes
from domain.gates import Screened, Situation
from domain.values import Channel
from models.channel_value import score as answers
from models.channel_value import spec as channels
from models.fatigue import score as weariness
from models.fatigue import spec as fatigue
from models.fatigue.spec import Dynamics
from models.opt_out import score as opt_out
from models.opt_out import spec as leaving
from models.send_time import score as hours
from serving.fitted import PRIORS, Fitted
from serving.habits import Habit
from serving.scoring import Scored

Floats = npt.NDArray[np.float64]

RECIPIENT = "recipient"
"""Source of an activity that stands on the recipient's own hours."""
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
    fitted: Fitted = PRIORS,
) -> list[Expected]:
    """Return what is expected of each decision's permitted channels, in the order given.

    Args:
        situations: n decisions.
        screened: what the gates left of each.
        scored: what the engagement model said of each, None where it was not asked.
        send_cost: of one message, in conversions.
        tires: of each decision, whether weariness counts; None is all of them.
        fitted: what is believed of everybody's hours and channels, and of leaving.
    """
    places = [(row, channel) for row, each in enumerate(screened) for channel in each.permitted]
    tired = _weariness(situations, fitted.dynamics)
    if tires is not None:
        tired = np.where(np.array(tires, dtype=bool), tired, 0.0)
    weary = tired[[row for row, _ in places]] if places else np.zeros(0)
    habits = [told.habit if told is not None else None for told in scored]
    p_open = weariness.open_chance(_rested(places, habits, fitted), weary, fitted.dynamics)
    column = np.array([leaving.CHANNELS.index(channel) for _, channel in places], dtype=np.int64)
    leaving_weary = _as_the_hazard_counts(situations, tired, fitted)
    p_opt_out = opt_out.chance(column, leaving_weary[[row for row, _ in places]] if places else weary, fitted.hazard)
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
    own = map(_is_personal, scored, screened)
    personal = [mine or each.ruled.is_personal for mine, each in zip(own, situations, strict=True)]
    # Weariness is told by the dynamics: a unit of it moves the log-odds of leaving by what that is to the hazard.
    scale = np.divide(leaving_weary, tired, out=np.ones(len(tired)), where=tired > 0)
    on_opt_out = (fitted.hazard.coefficients[-1] * scale).tolist()
    return _together(terms, _activities(habits, fitted), personal, on_opt_out, fitted)


def _together(
    terms: Sequence[Mapping[Channel, ChannelTerms]],
    activities: Sequence[Activity],
    personal: Sequence[bool],
    on_opt_out: Sequence[float],
    fitted: Fitted,
) -> list[Expected]:
    return [
        Expected(
            channels=each,
            activity=activity,
            is_personal=is_personal,
            models=fitted.versions if each else {},
            slopes=Slopes(on_open=fitted.dynamics.on_open, on_opt_out=slope),
        )
        for each, activity, is_personal, slope in zip(terms, activities, personal, on_opt_out, strict=True)
    ]


def _as_the_hazard_counts(situations: Sequence[Situation], tired: Floats, fitted: Fitted) -> Floats:
    """Return the weariness that leaving is judged by: it fades as it did where the hazard was fitted."""
    if fitted.dynamics.half_life_days == leaving.HALF_LIFE_DAYS:
        return tired
    same = replace(fitted.dynamics, half_life_days=leaving.HALF_LIFE_DAYS)
    return np.where(tired > 0, _weariness(situations, same), 0.0)


def _rested(places: Sequence[tuple[int, Channel]], habits: Sequence[Habit | None], fitted: Fitted) -> Floats:
    """Return the chance of an answer of each place rested: everybody's, moved by the recipient's own answers."""
    column = np.array([channels.CHANNELS.index(channel) for _, channel in places], dtype=np.int64)
    answered, sent = np.zeros(len(places)), np.zeros(len(places))
    for place, (row, _) in enumerate(places):
        if (habit := habits[row]) is not None:
            answered[place], sent[place] = habit.answered[column[place]], habit.sent[column[place]]
    return answers.shrunk(answered, sent, fitted.rates.rate[column], fitted.rates.strength[column])


def _activities(habits: Sequence[Habit | None], fitted: Fitted) -> list[Activity]:
    """Return each recipient's activity: their own hours pooled with people alike, the population's without any."""
    told = [fitted.population] * len(habits)
    own = [(row, habit.hours) for row, habit in enumerate(habits) if habit is not None and habit.hours.any()]
    if own:
        rates = hours.log_activity(np.array([counts for _, counts in own]), fitted.archetypes)
        for (row, _), mine in zip(own, rates.tolist(), strict=True):
            told[row] = Activity(source=RECIPIENT, log_rates=tuple(mine))
    return told


def _is_personal(scored: Scored | None, screened: Screened) -> bool:
    """Tell whether any of it stands on what is stored of the recipient."""
    if scored is None:
        return False
    return scored.p_convert is not None or _speaks(scored.habit, screened)


def _speaks(habit: Habit | None, screened: Screened) -> bool:
    if habit is None:
        return False
    return bool(habit.hours.any()) or any(habit.sent[channels.CHANNELS.index(each)] > 0 for each in screened.permitted)


def _weariness(situations: Sequence[Situation], dynamics: Dynamics) -> Floats:
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
        dynamics=dynamics,
    )
