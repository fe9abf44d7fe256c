"""Fits of hours and channels: what each is fitted from, how it is judged on the last days, whether it may decide."""

import numpy as np
import pandas as pd

from assets.steps import habit_rows, pictures
from assets.steps.habit_fit import Files, Fit, held_to, sample
from assets.steps.habit_rows import Habits
from models.channel_value import evaluate as channels_judged
from models.channel_value import registered as channels
from models.channel_value import score as channel_score
from models.channel_value import train as channels_fitted
from models.channel_value.spec import ANSWER_DAYS, CHANNELS, FEWEST_LATER, PRIOR_OPEN
from models.send_time import evaluate as hours_judged
from models.send_time import registered as hours
from models.send_time import score as hour_score
from models.send_time import train as hours_fitted
from models.send_time.spec import JUDGED_DAYS, Floats
from models.send_time.train import NotEnoughData

SEED = 20_170_101
_DAY_HOURS = 24


def send_time(habits: Habits, champion: Files | None = None) -> Fit:
    """Fit archetypes and pooling of the hours, judged against one histogram for everybody and the champion.

    Raises:
        NotEnoughData: too few people, or no activity in the days that judge.
    """
    before, cut, now = (_until(habits, times * JUDGED_DAYS) for times in (2, 1, 0))
    lately, later = (_between(habits, (times + 1) * JUDGED_DAYS, times * JUDGED_DAYS) for times in (1, 0))
    if not later.sum() > 0:
        raise NotEnoughData(f"no activity in the last {JUDGED_DAYS:.0f} days; at least some is needed to judge")
    trial = hours_fitted.fit(cut, before, lately, seed=SEED, archetypes=hours_fitted.affordable(before))
    gained = hours_judged.gain(hour_score.log_activity(cut, trial), later, cut, seed=SEED)
    found = hours_fitted.fit(now, cut, later, seed=SEED, archetypes=hours_fitted.affordable(cut))
    bounds = {} if gained.low is None or gained.high is None else {"nats_low": gained.low, "nats_high": gained.high}

    def told(files: Files) -> float:
        return hours_judged.gain(hour_score.log_activity(cut, hours.from_files(files)), later, cut, seed=SEED).nats

    files = hours.to_files(found)
    rival, behind = held_to(champion, files, told, "nats")
    bounds |= rival
    metrics = {"nats": gained.nats, **bounds, "hours_judged": gained.sessions, "people_judged": float(gained.people)}
    week = found.shares @ found.profiles
    by_hour = {f"{hour:02d}": float(week.reshape(-1, _DAY_HOURS)[:, hour].mean()) for hour in range(_DAY_HOURS)}
    return Fit(
        files=files,
        features=hours.Scorer.features,
        scorer="models.send_time.registered",
        params={"archetypes": len(found.shares), "kappa": found.kappa, "temper": found.temper},
        metrics=metrics,
        figures={"plots/hours.png": pictures.lying_bars(by_hour, title="Activity by hour of the day", unit="mean 1")},
        rows=sample(hours.Scorer.features),
        refusal=_no_gain(gained) or behind,
        limits="It knows hours of activity, not whether a message then is welcome.",
    )


def _until(habits: Habits, days: float) -> Floats:
    """Return hours with activity as they were known so many days before the end, decayed to then."""
    known = habits.hours[habits.hours["end_days"] >= days]
    return habit_rows.hour_counts(known.assign(age=known["end_days"] - days), "age", len(habits.who))


def _between(habits: Habits, first: float, last: float) -> Floats:
    """Return hours with activity between two moments before the end, each as 1."""
    some = habits.hours[(habits.hours["end_days"] >= last) & (habits.hours["end_days"] < first)]
    return habit_rows.hour_counts(some.assign(age=0.0), "age", len(habits.who))


def _no_gain(gained: hours_judged.Gain) -> str:
    if gained.low is None:
        return f"{gained.people} people judged: at least {hours_judged.FEWEST_PEOPLE} are needed for an interval"
    if gained.low <= 0:
        return f"gain over one histogram {gained.nats:.4f} nats, interval from {gained.low:.4f}: must lie above 0"
    return ""


def channel_value(habits: Habits, champion: Files | None = None) -> Fit:
    """Fit rates by channel and how much they count, judged on later messages by everybody's rate and the champion.

    Raises:
        NotEnoughData: too few messages in the days that judge.
    """
    people, messages = len(habits.who), habits.messages
    prior = np.array([PRIOR_OPEN[name] for name in CHANNELS])
    early, later = _early_and_later(messages)
    known = habit_rows.channel_counts(early.assign(age=early["end_days"] - JUDGED_DAYS), "age", people)
    tested = habit_rows.channel_counts(later.assign(age=0.0), "age", people)
    trial = channels_fitted.fit(*known, prior)
    chance = channel_score.shrunk(*known, trial.rate, trial.strength)
    skill = channels_judged.skill(chance, trial.rate, *tested)
    expected = float((chance * tested[1]).sum())
    found = channels_fitted.fit(*habit_rows.channel_counts(messages, "end_days", people), prior)

    def told(files: Files) -> float:
        read = channels.from_files(files)
        return channels_judged.skill(channel_score.shrunk(*known, read.rate, read.strength), trial.rate, *tested)

    files = channels.to_files(found)
    rival, behind = held_to(champion, files, told, "skill")
    metrics = {
        "skill": skill,
        **rival,
        "observed_expected": float(tested[0].sum()) / expected,
        "messages_judged": float(len(later)),
        **{f"rate_{name}": float(found.rate[place]) for place, name in enumerate(CHANNELS)},
    }
    drawn = {name: float(found.rate[place]) for place, name in enumerate(CHANNELS)}
    return Fit(
        files=files,
        features=channels.Scorer.features,
        scorer="models.channel_value.registered",
        params={f"strength_{name}": float(found.strength[place]) for place, name in enumerate(CHANNELS)},
        metrics=metrics,
        figures={"plots/rates.png": pictures.lying_bars(drawn, title="Messages answered by channel", unit="share")},
        rows=sample(channels.Scorer.features),
        refusal=behind if skill > 0 else f"skill over everybody's rate {skill:.4f}: must lie above 0",
        limits="; ".join(_limits(found)),
    )


def _early_and_later(messages: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    later = messages[messages["end_days"] < JUDGED_DAYS]
    # An answer to an earlier one was known by the cut.
    early = messages[messages["end_days"] >= JUDGED_DAYS + ANSWER_DAYS]
    if len(later) < FEWEST_LATER or early.empty:
        raise NotEnoughData(
            f"{len(later)} messages with a known answer in the last {JUDGED_DAYS:.0f} days, {len(early)} before; "
            f"at least {FEWEST_LATER} and 1 are needed"
        )
    return early, later


def _limits(found: channel_score.Rates) -> list[str]:
    unsure = [name for name, fitted in zip(CHANNELS, found.fitted, strict=True) if not fitted]
    told = ["An answer is an open, a click or a conversion; who bars opens is believed everybody's rate."]
    return told + [f"Of {', '.join(unsure)} too few have messages: the strength is the prior's."] * bool(unsure)
