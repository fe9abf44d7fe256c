"""Whom a message brings that would not have come: learners ranked by the true effect (experiment B6).

60,000 people who agreed to pushes live eight weeks with three a week; then chance decides whether each gets one more.
Each learner sees features known before, opens and visits of that day, and ranks 20,000 other people. The share is the
area under their cumulated true effect, above chance, as a part of that of the true order; top is the share of the
whole true effect that is in the first 30 %. ``knowable`` learns from the true effects themselves: what is hidden from
it is hidden from all.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from benchmarks import peers, worlds
from models.send_time import score as hours
from models.simulator.chances import Truth
from models.simulator.policies import FIRST_HOUR, LAST_HOUR, by_name
from models.simulator.rhythms import Floats
from models.simulator.run import simulate
from models.simulator.scenarios import CHANNELS, SCENARIOS
from models.simulator.state import DayState, Sends
from models.uplift import structural
from models.uplift.structural import Trial

PEOPLE, DAYS = 60_000, 56
LEAST_SHARE, LEAST_TOP, TOP = 0.65, 0.53, 0.30
FIRST_SEED, WORLDS = 100, 20
SCENES = ("realistic", "misspecified")


def measure(seeds: range = range(FIRST_SEED, FIRST_SEED + WORLDS), people: int = PEOPLE) -> dict[str, Any]:
    """Return each learner's share of the oracle's area and its top, means over seeds."""
    told = {
        scene: worlds.each(f"B6 {scene} {people}", seeds, partial(compare, scene, people=people)) for scene in SCENES
    }
    unavailable = next((one["peer unavailable"] for rows in told.values() for one in rows if _lacks(one)), None)
    scenes = {scene: pd.DataFrame(rows).select_dtypes("number") for scene, rows in told.items()}
    mean = {scene: found.mean() for scene, found in scenes.items()}
    real, other = mean["realistic"], mean["misspecified"]
    return {
        "worlds": len(seeds),
        "peer": None if unavailable else peers.UPLIFT.about,
        **({"peer unavailable": unavailable} if unavailable else {}),
        **{scene: found.round(3).to_dict() for scene, found in mean.items()},
        "sd": round(float(scenes["realistic"]["structural"].std(ddof=1)), 3) if len(seeds) > 1 else None,
        "met": bool(
            real["structural"] >= LEAST_SHARE
            and real["structural_top"] >= LEAST_TOP
            and other["structural"] >= other["open_rate"]
        ),
    }


def _lacks(world: dict[str, Any]) -> bool:
    return "peer unavailable" in world


def compare(scene: str, seed: int, people: int = PEOPLE) -> dict[str, Any]:
    """Return each learner's share and top in one world."""
    trial, effect = a_trial(scene, seed, people + people // 3)
    learns = np.arange(len(effect)) < people
    seen, judged, truth = trial.some(learns), trial.features[~learns], effect[~learns]
    found: dict[str, Any] = {"oracle_top": _top(truth, truth)}
    orders = {name: learner(seen, judged, seed) for name, learner in LEARNERS.items()}
    try:
        orders |= _peer(seen, judged)
    except peers.Unavailable as error:
        found["peer unavailable"] = str(error)
    for name, order in orders.items():
        found[name], found[f"{name}_top"] = _area(order, truth) / _area(truth, truth), _top(order, truth)
    knowable = _knowable(seen.features, effect[learns], judged, seed)
    return found | {"knowable": _area(knowable, truth) / _area(truth, truth), "knowable_top": _top(knowable, truth)}


def _peer(seen: Trial, judged: Floats) -> dict[str, Floats]:
    """Return the orders of scikit-uplift's learners.

    Raises:
        Unavailable: it cannot be run here.
    """
    given = {"features": seen.features, "active": seen.active, "treated": seen.treated, "judged": judged}
    told = peers.ask(peers.UPLIFT, "uplift_order.py", **given)
    return {name: np.array(order) for name, order in told.items()}


def a_trial(scene: str, seed: int, people: int) -> tuple[Trial, Floats]:
    """Return decisions by chance, and the true effect of a message on each, shape (n,)."""
    last: list[DayState] = []
    policy = by_name("cap:3")

    def told(state: DayState) -> Sends:
        last[:] = [state]
        return policy(state)

    # Who did not agree gets no message, so nobody asks what one would change.
    agreed = replace(SCENARIOS[scene], consent=(1.0,) * len(CHANNELS))
    simulate(agreed, told, people=people, days=DAYS, seed=seed)
    state, dice = last[0], np.random.default_rng([seed, 6])
    everybody = np.arange(people, dtype=np.int64)
    hour = dice.uniform(FIRST_HOUR, LAST_HOUR, people)
    variant = dice.choice(state.shown, people)
    p_open = state.truth.opens(everybody, np.zeros(people, dtype=np.int64), variant, hour)
    p_active = 1 - np.exp(-state.truth.visits())
    harmed = state.truth.population.harmed
    treated, came = dice.random(people) < 0.5, dice.random(people) < p_active  # noqa: PLR2004
    opened = treated & (dice.random(people) < p_open)
    active = np.where(opened, ~harmed, came)
    effect = p_open * np.where(harmed, -p_active, 1 - p_active)
    features = _features(state, state.truth, hour, variant)
    half = np.full(people, 0.5)
    return Trial(features, treated, opened.astype(float), active.astype(float), half, everybody), effect


def _features(state: DayState, truth: Truth, hour: Floats, variant: Any) -> Floats:
    seen = state.seen
    visits = seen.visits.astype(np.float64)
    total, sent, opened = visits.sum(axis=1), seen.sent[:, 0].astype(float), seen.opened[:, 0].astype(float)
    rates = hours.log_activity(visits)
    at = truth.hour_of_week(hour)
    fit = np.einsum("nk,nk->n", state.interests, state.variant_topics[variant])
    weekend = visits[:, 120:].sum(axis=1) / np.maximum(total, 1)
    rate = (opened + 0.04 * 20) / (sent + 20)
    columns = [np.log1p(total), sent, opened, rate, np.log(rate), rates[np.arange(len(at)), at], hour, fit, weekend]
    return np.column_stack([*columns, variant])


def _area(told: Floats, truth: Floats) -> float:
    """Return the area under the cumulated true effect by a learner's order, above that of chance."""
    gained = np.cumsum(truth[np.argsort(-told, kind="stable")]) / len(truth)
    return float(gained.mean() - truth.mean() / 2)


def _top(told: Floats, truth: Floats) -> float:
    first = np.argsort(-told, kind="stable")[: int(TOP * len(truth))]
    return float(truth[first].sum() / truth.sum())


def _structural(seen: Trial, judged: Floats, seed: int) -> Floats:
    return structural.fit(seen, seed=seed).effect(judged)


def _opens(seen: Trial, judged: Floats, seed: int) -> Floats:
    """Return the chance of an open: what a click-rate ranking goes by."""
    rows = seen.treated
    return _chance(seen.features[rows], seen.opened[rows], judged, seed)


def _response(seen: Trial, judged: Floats, seed: int) -> Floats:
    """Return the chance of being active with a message."""
    rows = seen.treated
    return _chance(seen.features[rows], seen.active[rows], judged, seed)


def _two_models(seen: Trial, judged: Floats, seed: int) -> Floats:
    """Return the difference of two models of activity."""
    rows = ~seen.treated
    return _response(seen, judged, seed) - _chance(seen.features[rows], seen.active[rows], judged, seed)


def _solo(seen: Trial, judged: Floats, seed: int) -> Floats:
    """Return the difference one model of activity makes of the message as a feature."""
    with_arm = np.column_stack([seen.features, seen.treated])
    one, other = (np.column_stack([judged, np.full(len(judged), arm)]) for arm in (1.0, 0.0))
    both = _chance(with_arm, seen.active, np.concatenate([one, other]), seed)
    return both[: len(judged)] - both[len(judged) :]


def _transformed(seen: Trial, judged: Floats, seed: int) -> Floats:
    """Return the chance of y = t, the class transformation."""
    return _chance(seen.features, np.where(seen.treated, seen.active, 1 - seen.active), judged, seed)


def _knowable(features: Floats, effect: Floats, judged: Floats, seed: int) -> Floats:
    given = {"max_depth": 5, "eta": 0.05, "min_child_weight": 20, "nthread": 1, "seed": seed}
    booster = xgb.train(given, xgb.DMatrix(features, effect, nthread=1), 200)
    return np.asarray(booster.predict(xgb.DMatrix(judged, nthread=1)), dtype=np.float64)


def _chance(features: Floats, target: Floats, judged: Floats, seed: int) -> Floats:
    given = {
        "objective": "binary:logistic",
        "base_score": float(target.mean()),
        "tree_method": "hist",
        "nthread": 1,
        "seed": seed,
    } | structural.CHANCE
    booster = xgb.train(given, xgb.DMatrix(features, target, nthread=1), structural.CHANCE_ROUNDS)
    return np.asarray(booster.predict(xgb.DMatrix(judged, nthread=1)), dtype=np.float64)


LEARNERS: dict[str, Callable[[Trial, Floats, int], Floats]] = {
    "structural": _structural,
    "open_rate": _opens,
    "response": _response,
    "two_models": _two_models,
    "solo": _solo,
    "transformed": _transformed,
}
"""By name; all from the same boosters and the same rows; scikit-uplift's own learners stand beside them."""
