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
from models.calibration import isotonic, platt, sigmoid
from models.engagement import evaluate
from models.simulator.policies import FIRST_HOUR, LAST_HOUR
from models.simulator.rhythms import Floats
from models.simulator.run import simulate
from models.simulator.scenarios import CHANNELS, SCENARIOS
from models.simulator.state import DayState, Sends

PEOPLE, DAYS, LEARNT_UNTIL, MAPPED_UNTIL, FIRST_DAY = 6000, 84, 35, 56, 7
MOST_ERROR, LEAST_SLOPE, MOST_SLOPE = 0.005, 0.9, 1.1
FIRST_SEED, WORLDS = 100, 10
OURS = "isotonic"
_CHANCE_A_DAY = 0.6


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
        told |= {name: np.clip(np.array(values), 1e-6, 1 - 1e-6) for name, values in given.items()}
    except peers.Unavailable as error:
        made["peer unavailable"] = str(error)
    kind = np.array(CHANNELS)[rows["channel"].to_numpy(dtype=np.int64)]
    before = {name: float(label[~judged & (kind == name)].mean()) for name in CHANNELS} | {
        "*": float(label[maps].mean())
    }
    person = rows["person"].to_numpy(dtype=np.str_)
    made["maps"] = {
        name: _judged(label[judged], each, kind[judged], person[judged], before) for name, each in told.items()
    }
    return made


def messages(seed: int, people: int) -> pd.DataFrame:
    """Return each message from the second week on: what was known before it, its channel, and whether it was opened."""
    known: list[pd.DataFrame] = []

    def policy(state: DayState) -> Sends:
        dice, seen = state.dice, state.seen
        channel = dice.integers(0, len(CHANNELS), state.people)
        may = seen.consent[np.arange(state.people), channel] & (dice.random(state.people) < _CHANCE_A_DAY)
        who = np.flatnonzero(may).astype(np.int64)
        variant, hour = dice.choice(state.shown, len(who)), dice.uniform(FIRST_HOUR, LAST_HOUR, len(who))
        if state.day >= FIRST_DAY:
            known.append(_known(state, who, channel[who], variant, hour))
        return Sends(who, channel[who], variant, hour, np.full(len(who), 1 / len(state.shown)))

    run = simulate(SCENARIOS["realistic"], policy, people=people, days=DAYS, seed=seed)
    answers = run.sends[["day", "person", "opened"]]
    return pd.concat(known, ignore_index=True).merge(answers, on=["day", "person"], validate="1:1")


def _known(state: DayState, who: Any, channel: Any, variant: Any, hour: Floats) -> pd.DataFrame:
    seen = state.seen
    sent, opened = seen.sent[who], seen.opened[who]
    fit = np.einsum("nk,nk->n", state.interests[who], state.variant_topics[variant])
    columns = {
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
    return pd.DataFrame(columns)


def _boosted(features: Floats, label: npt.NDArray[np.int8], seed: int) -> xgb.Booster:
    given = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.1, "subsample": 0.8, "nthread": 1, "seed": seed}
    table = xgb.DMatrix(features, label, nthread=1)
    return xgb.train(given | {"base_score": float(label.mean())}, table, 200)


def _judged(label: Any, p: Floats, kind: Any, person: Any, before: dict[str, float]) -> dict[str, float]:
    report = evaluate.evaluate(
        label, np.clip(p, 1e-6, 1 - 1e-6), message_type=kind, recipient=person, base_rates=before, seed=1
    )
    skills = [
        1 - each.log_loss / each.base_log_loss
        for each in report.by_message_type
        if each.log_loss and each.base_log_loss
    ]
    return {
        "ece": report.ece,
        "slope": report.slope,
        "intercept": report.intercept,
        "skill": report.skill,
        "log_loss": report.log_loss,
        "least_slice_skill": min(skills),
    }
