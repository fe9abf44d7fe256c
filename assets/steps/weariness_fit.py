"""Fits how messages tire: judged on the last days beside nobody ever being weary; the prior where that cannot be told.

A version that could not be fitted, or is no better than the prior on later messages, holds the prior and says so
(``fitted`` is 0): it changes nothing, and nobody has to look elsewhere for what serves.
"""

from functools import partial

import numpy as np
import pandas as pd

from assets.steps import habit_rows, pictures
from assets.steps.habit_fit import Files, Fit, held_to, sample
from assets.steps.habit_rows import Habits
from models.channel_value import score as answers
from models.channel_value import train as rates
from models.channel_value.spec import CHANNELS, PRIOR_OPEN
from models.fatigue import registered, train
from models.fatigue.spec import LOAD, PRIOR, Dynamics
from models.fatigue.train import Integers, NotEnoughData
from models.send_time.spec import JUDGED_DAYS, Floats

_PRIOR_RATES = np.array([PRIOR_OPEN[name] for name in CHANNELS])
_LOADS = np.array([LOAD[name] for name in CHANNELS])
SEED, REPETITIONS = 20_170_101, 500


def fatigue(habits: Habits, champion: Files | None = None) -> Fit:
    """Fit the dynamics of weariness from messages whose answer is known; the prior answers where that cannot be done.

    Refused is only what tells the last days worse than the champion.
    """
    messages = habits.messages
    found, metrics, why = _judged(messages, len(habits.who))
    files = registered.to_files(found)
    # Without later messages there is nothing to hold it to.
    rival, behind = held_to(champion if metrics else None, files, partial(_told, messages, len(habits.who)), "nats")
    days = np.arange(15)
    left = {f"after {day} days": float(2.0 ** (-day / found.half_life_days)) for day in days[::2]}
    return Fit(
        files=files,
        features=registered.Scorer.features,
        scorer="models.fatigue.registered",
        params={"half_life_days": found.half_life_days, "on_open": found.on_open, "on_opt_out": found.on_opt_out},
        metrics={"fitted": float(found.fitted), "messages": float(len(messages)), **metrics, **rival},
        figures={"plots/weariness.png": pictures.lying_bars(left, title="Weariness that is left", unit="share")},
        rows=sample(registered.Scorer.features),
        refusal=behind,
        limits=why or "What one message adds, and the weight on opt-outs, are the prior's.",
    )


def _judged(messages: pd.DataFrame, people: int) -> tuple[Dynamics, dict[str, float], str]:
    """Return the dynamics, what was measured, and why they are the prior's, empty where they are not."""
    is_later = (messages["end_days"] < JUDGED_DAYS).to_numpy()
    try:
        early = _columns(messages[~is_later], people)
        trial = train.fit(*early)
        every = _columns(messages, people)
        gained = _gained(every, trial, is_later)
        low, high = _interval(gained, every[0][is_later])
        told = {"nats": float(gained.mean()), "nats_low": low, "nats_high": high}
        if low <= 0:
            return PRIOR, told, f"The prior: later messages gain {gained.mean():.5f} nats, interval from {low:.5f}."
        return train.fit(*every), told, ""
    except NotEnoughData as error:
        return PRIOR, {}, f"The prior: {error}."


Columns = tuple[Integers, Floats, Floats, Floats, Floats]


def _columns(messages: pd.DataFrame, people: int) -> Columns:
    """Return recipient, day, load, answer, and the chance by everything else, of messages in their order."""
    if messages.empty:
        raise NotEnoughData("not enough data: no message has a known answer")
    answered, sent = habit_rows.channel_counts(messages.assign(age=0.0), "age", people)
    everybody = rates.fit(answered, sent, _PRIOR_RATES)
    who, channel = messages["place"].to_numpy(np.int64), messages["channel"].to_numpy(np.int64)
    mine = messages["answered"].to_numpy(np.float64)
    # Of the others only: who answered this one is not told by having answered it.
    others, rest = answered[who, channel] - mine, sent[who, channel] - 1
    rested = answers.shrunk(others, rest, everybody.rate[channel], everybody.strength[channel])
    return who, -messages["end_days"].to_numpy(np.float64), _LOADS[channel], mine, rested


def _told(messages: pd.DataFrame, people: int, files: Files) -> float:
    """Return what a version's dynamics gain on a later message over nobody ever being weary, in nats."""
    is_later = (messages["end_days"] < JUDGED_DAYS).to_numpy()
    return float(_gained(_columns(messages, people), registered.from_files(files), is_later).mean())


def _gained(every: Columns, trial: Dynamics, is_later: np.ndarray) -> Floats:
    """Return what each later message's log-likelihood gains over that of nobody ever weary."""
    who, day, load, answered, rested = every
    level = train.before_each(who, day, load, answered, trial.half_life_days)
    none = Dynamics(on_open=0.0, fitted=True)
    later = (level[is_later], answered[is_later], rested[is_later])
    return np.asarray(train.log_likelihood(trial, *later) - train.log_likelihood(none, *later))


def _interval(gained: Floats, who: Integers) -> tuple[float, float]:
    """Return the 95 % interval of the mean by bootstrap over people."""
    _, place = np.unique(who, return_inverse=True)
    sums, counts = np.bincount(place, gained), np.bincount(place)
    if len(sums) == 0:
        raise NotEnoughData("not enough data: no message in the days that judge")
    picked = np.random.default_rng(SEED).integers(0, len(sums), (REPETITIONS, len(sums)))
    means = sums[picked].sum(axis=1) / counts[picked].sum(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
