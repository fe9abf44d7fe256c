"""Whether anything is announced to win where nothing can (experiment B20).

In the ``null`` scenario of the simulator no decision changes anything. Each run asks three questions, as owners do:

- **variant**: does the variant that was opened most among half of the people beat the uniform draw among the others?
- **hour**: are people who get messages at their own hour opened more than those who get them by chance?
- **whether**: do people who get messages come on more days than those who get none?

Owners look every week and stop when they like what they see, so that is what is counted: a gain is declared where the
lower bound of an interval is above 0 at any of the looks. All questions at all looks share the 5 % by which a run may
err (Bonferroni), which holds however much one look repeats another. The same is asked of ``easy``, where variant and
hour matter, to see that the questions can be answered with yes at all.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from models.off_policy import estimators
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import fixed
from models.simulator.policies import by_name
from models.simulator.run import VARIANTS, Run, simulate
from models.simulator.scenarios import SCENARIOS
from models.simulator.state import DayState, Sends

FIRST_SEED, RUNS, POWER_RUNS = 100, 200, 20
MOST_DECLARED, MAY_ERR = 0.05, 0.05
PEOPLE, DAYS = 900, 28
QUESTIONS = ("variant", "hour", "whether")
LOOKS = (14, 21, 28)
"""Days after which somebody looks."""
_ARMS = ("cap:7", "hour:7", "none")
_LATER = 7
"""From this day on the hours are judged: before, nobody's own hour is known."""


def measure(runs: int = RUNS, power_runs: int = POWER_RUNS) -> dict[str, Any]:
    """Return the share of runs that declare a gain, by question and by any of them."""
    null = pd.DataFrame([declared("null", FIRST_SEED + number) for number in range(runs)])
    easy = pd.DataFrame([declared("easy", FIRST_SEED + number, people=4 * PEOPLE) for number in range(power_runs)])
    any_of_them = float(null.any(axis=1).mean())
    return {
        "runs": runs,
        "declared": {name: float(null[name].mean()) for name in QUESTIONS},
        "any_declared": any_of_them,
        "declared_in_easy": {name: float(easy[name].mean()) for name in QUESTIONS},
        "met": any_of_them <= MOST_DECLARED,
    }


def declared(scenario: str, seed: int, *, people: int = PEOPLE) -> dict[str, bool]:
    """Return whether each question is answered with a gain at any look in one run."""
    run = simulate(SCENARIOS[scenario], _arms, people=people, days=DAYS, seed=seed)
    looks = [_gains(_until(run, day)) for day in LOOKS]
    return {name: any(look[name] for look in looks) for name in QUESTIONS}


def _until(run: Run, day: int) -> Run:
    """Return what had happened before a day."""
    daily, sends, visits = (rows[rows["day"] < day] for rows in (run.daily, run.sends, run.visits))
    return replace(run, daily=daily, sends=sends, visits=visits)


def _gains(run: Run) -> dict[str, bool]:
    gains = {"variant": _variant(run), "hour": _hour(run), "whether": _whether(run)}
    # One side of an interval that misses with 2 alpha misses with alpha.
    alpha = 2 * MAY_ERR / (len(QUESTIONS) * len(LOOKS))
    bounds = {name: fixed(gain, units, alpha=alpha).low for name, (gain, units) in gains.items()}
    return {name: bound is not None and bound > 0 for name, bound in bounds.items()}


_POLICIES = [by_name(name) for name in _ARMS]


def _arms(state: DayState) -> Sends:
    """Give every third person another policy."""
    made = [policy(state) for policy in _POLICIES]
    kept = [sends.some(sends.who % len(_ARMS) == place) for place, sends in enumerate(made)]
    parts = ("who", "channel", "variant", "hour", "probability")
    return Sends(*(np.concatenate([getattr(sends, part) for sends in kept]) for part in parts))


def _variant(run: Run) -> tuple[Estimate, Any]:
    rows = run.sends
    learns = (rows["person"] // len(_ARMS)) % 2 == 0
    rates = rows[learns].groupby("variant")["opened"].agg(["mean", "size"])
    # A variant that came late was shown to few; its mean is noise.
    best = rates["mean"].where(rates["size"] > rates["size"].median() / 2).idxmax()
    judged = rows[~learns]
    reward = judged["opened"].to_numpy(dtype=np.float64)
    policy = np.zeros((len(judged), VARIANTS))
    policy[:, int(str(best))] = 1.0
    weight = estimators.weights(policy, judged["variant"].to_numpy(dtype=np.int64), judged["probability"].to_numpy())
    # Only days on which it is shown: elsewhere nobody could have chosen it.
    on = judged["day"].isin(judged.loc[judged["variant"] == best, "day"]).to_numpy()
    value, logged = estimators.snips(weight[on], reward[on]), float(reward[on].mean())
    gain = Estimate(value.value - logged, value.influence - (reward[on] - logged))
    return gain, _units(judged["person"].to_numpy()[on])


def _hour(run: Run) -> tuple[Estimate, Any]:
    rows = run.sends[run.sends["day"] >= _LATER]
    treated = (rows["person"] % len(_ARMS) == 1).to_numpy()
    return _difference(rows["opened"].to_numpy(dtype=np.float64), treated), _units(rows["person"].to_numpy())


def _whether(run: Run) -> tuple[Estimate, Any]:
    came = np.zeros((run.people, len(run.daily)), dtype=bool)
    came[run.visits["person"], run.visits["day"]] = True
    if (run.daily["active"] > came.sum(axis=0)).any():
        # Who opened was there, and the run counts it so.
        opened = run.sends[run.sends["opened"] > 0]
        came[opened["person"].astype(int), opened["day"].astype(int)] = True
    place = np.arange(run.people) % len(_ARMS)
    asked = (place != 1) & run.population.consent[:, 0]
    return _difference(came[asked].mean(axis=1), place[asked] == 0), np.arange(asked.sum())


def _difference(values: Any, treated: Any) -> Estimate:
    """Return the difference of two means with each row's part in it."""
    share = treated.mean()
    one, other = values[treated].mean(), values[~treated].mean()
    influence = np.where(treated, (values - one) / share, -(values - other) / (1 - share))
    return Estimate(float(one - other), influence)


def _units(people: Any) -> Any:
    return np.unique(people, return_inverse=True)[1].astype(np.int64)
