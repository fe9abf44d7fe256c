"""Who is weary of messages, told from opens: the calibrated detector beside a click-rate rule (experiment B15).

Everybody gets three messages a week for four weeks, from which the own rate is known, and then for eight weeks one of
five volumes by chance, up to three a day. Weary is who truly opens less than 0.6 of what the same person would rested.
Both rules may call 5 % of the others weary; ties of the rule are broken by chance.
"""

from typing import Any

import numpy as np
import pandas as pd

from models.channel_value.score import shrunk
from models.fatigue import score
from models.fatigue.spec import CONFIDENCE, RATIO, WINDOW
from models.simulator.chances import Truth
from models.simulator.policies import by_name
from models.simulator.rhythms import Floats
from models.simulator.run import Run, simulate
from models.simulator.scenarios import REALISTIC
from models.simulator.state import DayState, Sends

PEOPLE, LEARNT_DAYS, DAYS = 3000, 28, 84
VOLUMES = (1, 3, 7, 14, 21)
FALSE_SHARE, LEAST_LEAD = 0.05, 0.15
FIRST_SEED, WORLDS = 100, 10
_WEEK = 7


def measure(seeds: range = range(FIRST_SEED, FIRST_SEED + WORLDS)) -> dict[str, Any]:
    """Return the shares of weary people that each rule finds, means over seeds."""
    found = pd.DataFrame([compare(seed) for seed in seeds])
    lead = found["detector"] - found["seven_days"]
    return {
        "worlds": len(found),
        **{str(name): mean for name, mean in found.mean().round(3).items()},
        "lead": round(float(lead.mean()), 3),
        "lead_sd": round(float(lead.std(ddof=1)), 3) if len(found) > 1 else None,
        "met": bool(lead.mean() >= LEAST_LEAD),
    }


def compare(seed: int) -> dict[str, float]:
    """Return what each rule finds in one world."""
    run, truth = _world(seed)
    weary = _weary(truth)
    sends = run.sends.sort_values(["person", "day", "hour"])
    rate = _own_rate(sends)
    late = sends[sends["day"] >= LEARNT_DAYS]
    found = _detected(late, rate)
    week = _rule(late[late["day"] >= DAYS - _WEEK], seed)
    window = _rule(_last(late), seed)
    known = np.bincount(late["person"], minlength=PEOPLE) > 0
    return {
        "weary": float(weary[known].mean()),
        "detector": _found(found.probability, weary, known),
        "opens_alone": _found(_detected(late, rate, by_dynamics=False).probability, weary, known),
        "volume_alone": _found(_level(late, DAYS), weary, known),
        "seven_days": _found(-week, weary, known),
        "same_window": _found(-window, weary, known),
        "detector_false_as_set": float(found.is_weary[~weary & known].mean()),
        "detector_true_as_set": float(found.is_weary[weary & known].mean()),
        "weeks_to_detect": _weeks(late, rate, weary & known),
    }


def _world(seed: int) -> tuple[Run, Truth]:
    last: list[Truth] = []
    learning = by_name("cap:3")
    later = [by_name(f"cap:{volume}") for volume in VOLUMES]

    def policy(state: DayState) -> Sends:
        last[:] = [state.truth]
        if state.day < LEARNT_DAYS:
            return learning(state)
        made = [each(state) for each in later]
        kept = [sends.some(sends.who // _WEEK % len(VOLUMES) == place) for place, sends in enumerate(made)]
        parts = ("who", "channel", "variant", "hour", "probability")
        return Sends(*(np.concatenate([getattr(sends, part) for sends in kept]) for part in parts))

    return simulate(REALISTIC, policy, people=PEOPLE, days=DAYS, seed=seed), last[0]


def _weary(truth: Truth) -> Any:
    """Return who opens less than ``RATIO`` of their rested rate, of a message of average appeal at the end."""
    people, scene = truth.population, truth.scenario
    who = np.arange(PEOPLE, dtype=np.int64)
    base = scene.open_rates[0]
    rested = np.log(base / (1 - base)) + people.openness + people.channel_liking[:, 0]
    tired = scene.fatigue_on_opens * people.sensitivity * truth.mind.fatigue.at((who,), float(DAYS))
    return (1 + np.exp(-rested)) / (1 + np.exp(-(rested - tired))) < RATIO


def _own_rate(sends: pd.DataFrame) -> Floats:
    early = sends[sends["day"] < LEARNT_DAYS]
    sent = np.bincount(early["person"], minlength=PEOPLE).astype(float)
    opened = np.bincount(early["person"], early["opened"], minlength=PEOPLE).astype(float)
    return shrunk(opened[:, None], sent[:, None], np.array([opened.sum() / sent.sum()]))[:, 0]


def _last(sends: pd.DataFrame) -> pd.DataFrame:
    return sends.groupby("person").tail(WINDOW)


def _detected(sends: pd.DataFrame, rate: Floats, *, until: int = DAYS, by_dynamics: bool = True) -> score.Finding:
    rows = _last(sends)
    opens = np.bincount(rows["person"], rows["opened"], minlength=PEOPLE).astype(float)
    expected = np.bincount(rows["person"], minlength=PEOPLE) * rate
    believed = score.believed_ratio(_level(sends, until)) if by_dynamics else 1.0
    return score.detected(opens, expected, believed=believed)


def _level(sends: pd.DataFrame, until: int) -> Floats:
    """Return weariness by the dynamics, of everybody as if of average sensitivity."""
    age = until - (sends["day"] + sends["hour"] / 24).to_numpy(dtype=np.float64)
    who = sends["person"].to_numpy(dtype=np.int64)
    return score.level(who, age, np.ones(len(sends)), sends["opened"].to_numpy() > 0, recipients=PEOPLE)


def _rule(rows: pd.DataFrame, seed: int) -> Floats:
    """Return each person's click rate, those without a message high."""
    sent = np.bincount(rows["person"], minlength=PEOPLE)
    opened = np.bincount(rows["person"], rows["opened"], minlength=PEOPLE)
    noise = np.random.default_rng(seed).uniform(0, 1e-6, PEOPLE)
    return np.where(sent > 0, opened / np.maximum(sent, 1), 1.0) + noise


def _found(suspicion: Floats, weary: Any, known: Any) -> float:
    """Return the share of weary people found where 5 % of the others are called so."""
    limit = np.quantile(suspicion[known & ~weary], 1 - FALSE_SHARE)
    return float((suspicion[known & weary] > limit).mean())


def _weeks(sends: pd.DataFrame, rate: Floats, weary: Any) -> float:
    """Return the mean weeks after which the detector says so of those it finds at all, at its own confidence."""
    first = np.full(PEOPLE, np.inf)
    for week in range(1, (DAYS - LEARNT_DAYS) // _WEEK + 1):
        until = LEARNT_DAYS + week * _WEEK
        seen = _detected(sends[sends["day"] < until], rate, until=until)
        first = np.where(np.isinf(first) & (seen.probability > CONFIDENCE), week, first)
    reached = first[weary & np.isfinite(first)]
    return float(reached.mean()) if len(reached) else float("nan")
