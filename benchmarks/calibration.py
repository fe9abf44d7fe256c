"""Whether calibrated probabilities mean what they say at a base rate of 5 % (experiment B13).

6,000 people get messages on every channel they agreed to, by chance, for twelve weeks. A booster learns from four
weeks, a map from the next four, and the last four judge: time never runs backwards. Kairos's isotonic and Platt maps
stand beside the raw booster, betacal's beta map and scikit-learn's isotonic steps, all fitted on the same rows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from benchmarks import peers, worlds
from models.calibration import FLOOR, isotonic, line, logit, platt, sigmoid
from models.fatigue.spec import HALF_LIFE_DAYS, IGNORED, OPENED
from models.simulator.policies import FIRST_HOUR, LAST_HOUR
from models.simulator.rhythms import Floats
from models.simulator.run import VARIANTS, simulate
from models.simulator.scenarios import CHANNELS, SCENARIOS
from models.simulator.state import DayState, Sends

PEOPLE, DAYS, LEARNT_UNTIL, MAPPED_UNTIL, FIRST_DAY = 6000, 84, 35, 56, 7
MOST_ERROR, LEAST_SLOPE, MOST_SLOPE = 0.005, 0.9, 1.1
FIRST_SEED, WORLDS, BINS = 100, 10, 15
OURS = "isotonic"
CHANNEL_SHARES = (0.45, 0.30, 0.15, 0.10)
"""Of pushes, e-mails, text messages and messages in the app: 5 % are opened then."""
_CHANCE_A_DAY, _HABIT_DAYS = 0.6, 15.0


def measure(seeds: range = range(FIRST_SEED, FIRST_SEED + WORLDS)) -> dict[str, Any]:
    """Return error, slope and skill of each map, means over worlds; the target is asked of the isotonic map."""
    found = worlds.each("B13", seeds, compare)
    names = [name for name in found[0]["maps"] if all(name in one["maps"] for one in found)]
    mean = {name: pd.DataFrame([one["maps"][name] for one in found]).mean() for name in names}
    unavailable = next((one["peer unavailable"] for one in found if "peer unavailable" in one), None)
    slices = min(one["maps"][OURS]["least_slice_skill"] for one in found)
    ours = mean[OURS]
    return {
        "worlds": len(found),
        "peer": None if unavailable else peers.CALIBRATION.about,
        **({"peer unavailable": unavailable} if unavailable else {}),
        "base_rate": round(float(np.mean([one["base_rate"] for one in found])), 4),
        "rows": int(np.mean([one["rows"] for one in found])),
        **{name: each.round(4).to_dict() for name, each in mean.items()},
        "least_slice_skill_of_any_world": round(slices, 4),
        "met": bool(ours["ece"] <= MOST_ERROR and LEAST_SLOPE <= ours["slope"] <= MOST_SLOPE and slices > 0),
    }


def compare(seed: int, people: int = PEOPLE) -> dict[str, Any]:
    """Return what each map says of one world's last weeks."""
    rows = messages(seed, people)
    label = rows["opened"].to_numpy(dtype=np.int8)
    features = rows.drop(columns=["opened", "day", "person"]).to_numpy(dtype=np.float64)
    day = rows["day"].to_numpy()
    learns, maps, judged = day < LEARNT_UNTIL, (day >= LEARNT_UNTIL) & (day < MAPPED_UNTIL), day >= MAPPED_UNTIL
    booster = _boosted(features[learns], label[learns], seed)
    margin = np.asarray(booster.predict(xgb.DMatrix(features, nthread=1), output_margin=True), dtype=np.float64)
    told = {
        "raw": sigmoid(margin[judged]),
        "isotonic": isotonic(margin[maps], label[maps]).apply(margin[judged]),
        "platt": platt(margin[maps], label[maps]).apply(margin[judged]),
    }
    made: dict[str, Any] = {"rows": int(judged.sum()), "base_rate": float(label[judged].mean())}
    p = {"p_fit": sigmoid(margin[maps]), "label_fit": label[maps], "p": told["raw"]}
    try:
        given = peers.ask(peers.CALIBRATION, "beta_calibration.py", **p)
        told |= {name: np.clip(np.array(values), FLOOR, 1 - FLOOR) for name, values in given.items()}
    except peers.Unavailable as error:
        made["peer unavailable"] = str(error)
    kind = np.array(CHANNELS)[rows["channel"].to_numpy(dtype=np.int64)]
    before = {name: float(label[~judged & (kind == name)].mean()) for name in CHANNELS} | {
        "*": float(label[maps].mean())
    }
    made["maps"] = {name: _judged(label[judged], each, kind[judged], before) for name, each in told.items()}
    return made


def messages(seed: int, people: int) -> pd.DataFrame:
    """Return each message from the second week on: what was known before it, its channel, and whether it was opened."""
    known: list[dict[str, Any]] = []
    seen_before = Exposures(people)

    def policy(state: DayState) -> Sends:
        dice, seen = state.dice, state.seen
        seen_before.take_in(state)
        channel = dice.choice(len(CHANNELS), state.people, p=CHANNEL_SHARES)
        may = seen.consent[np.arange(state.people), channel] & (dice.random(state.people) < _CHANCE_A_DAY)
        who = np.flatnonzero(may).astype(np.int64)
        variant, hour = dice.choice(state.shown, len(who)), dice.uniform(FIRST_HOUR, LAST_HOUR, len(who))
        if state.day >= FIRST_DAY:
            known.append(_known(state, who, channel[who], variant, hour) | seen_before.of(who, variant))
        return Sends(who, channel[who], variant, hour, np.full(len(who), 1 / len(state.shown)))

    run = simulate(SCENARIOS["realistic"], policy, people=people, days=DAYS, seed=seed)
    answers = run.sends[["day", "person", "opened"]]
    return pd.concat(map(pd.DataFrame, known), ignore_index=True).merge(answers, on=["day", "person"], validate="1:1")


def _known(state: DayState, who: Any, channel: Any, variant: Any, hour: Floats) -> dict[str, Any]:
    seen = state.seen
    sent, opened = seen.sent[who], seen.opened[who]
    fit = np.einsum("nk,nk->n", state.interests[who], state.variant_topics[variant])
    return {
        "day": np.full(len(who), state.day),
        "person": who,
        "channel": channel,
        "hour": hour,
        "fit": fit,
        "visits": seen.visits[who].sum(axis=1) / state.day,
        "sent": sent.sum(axis=1) / state.day,
        "rate": (opened.sum(axis=1) + 1) / (sent.sum(axis=1) + 20),
        "own_rate": (opened[np.arange(len(who)), channel] + 1) / (sent[np.arange(len(who)), channel] + 20),
        "since": state.day - seen.last_day[who],
    }


class Exposures:
    """What people saw of late, of everything and of each variant, as a sender remembers it."""

    def __init__(self, people: int) -> None:
        self.weary, self.habit = np.zeros(people), np.zeros((people, VARIANTS))

    def take_in(self, state: DayState) -> None:
        """Learn what was sent yesterday."""
        self.weary *= 2 ** (-1 / HALF_LIFE_DAYS)
        self.habit *= 2 ** (-1 / _HABIT_DAYS)
        sent = state.seen.yesterday
        who, variant = (sent[name].to_numpy(dtype=np.int64) for name in ("person", "variant"))
        self.weary[who] += np.where(sent["opened"].to_numpy(dtype=np.float64) > 0, OPENED, IGNORED)
        self.habit[who, variant] += 1

    def of(self, who: Any, variant: Any) -> dict[str, Any]:
        """Return columns of messages that are about to go out."""
        return {"weary": self.weary[who], "habit": self.habit[who, variant], "variant": variant}


def _boosted(features: Floats, label: npt.NDArray[np.int8], seed: int) -> xgb.Booster:
    given = {"objective": "binary:logistic", "max_depth": 4, "eta": 0.1, "subsample": 0.8, "nthread": 1, "seed": seed}
    table = xgb.DMatrix(features, label, nthread=1)
    return xgb.train(given | {"base_score": float(label.mean())}, table, 200)


def _judged(label: Any, p: Floats, kind: Any, before: dict[str, float]) -> dict[str, float]:
    """Return error, slope and skill; skill is over each channel's rate before."""
    base = np.array([before[name] for name in kind])
    skills = {name: _skill(label[kind == name], p[kind == name], base[kind == name]) for name in np.unique(kind)}
    intercept, slope = line(logit(p), label)
    return {
        "ece": _error(label, p),
        "slope": slope,
        "intercept": intercept,
        "skill": _skill(label, p, base),
        "least_slice_skill": min(skills.values()),
    }


def _error(label: Any, p: Floats) -> float:
    """Return the mean gap between rate and probability over bins of equal size."""
    parts = np.array_split(np.argsort(p, kind="stable"), BINS)
    return float(sum(abs(label[part].mean() - p[part].mean()) * len(part) for part in parts) / len(p))


def _skill(label: Any, p: Floats, base: Floats) -> float:
    ours, theirs = (-np.where(label > 0, np.log(each), np.log1p(-each)).mean() for each in (p, base))
    return float(1 - ours / theirs)
