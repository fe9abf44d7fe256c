"""How much of what the hour of a message can bring is found (experiment B5).

People live 28 days and get 12 messages at hours by chance; then every policy names one hour of each day between 8 and
22 for everybody, and is judged by the true chance of an open of a rested person at these hours, mean over the week.
The share is the part of the way from an hour by chance to the hour that is truly best.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.send_time import dataset, score, train
from models.send_time.spec import HOURS_OF_DAY, Floats
from models.simulator.chances import Truth
from models.simulator.policies import FIRST_HOUR, LAST_HOUR, by_name
from models.simulator.run import Run, simulate
from models.simulator.scenarios import SCENARIOS
from models.simulator.state import DayState, Sends

PEOPLE, DAYS = 3000, 28
TARGETS = {"realistic": 0.75, "misspecified": 0.55}
FIRST_SEED, WORLDS = 100, 20
_OPEN = np.arange(FIRST_HOUR, LAST_HOUR)


@dataclass(frozen=True)
class World:
    """What was seen, and the truth at its end.

    Attributes:
        run: what happened.
        counts: decayed sessions at the end, shape (n, 168).
        earlier: the same a week before, shape (n, 168).
        lately: sessions of the last week, shape (n, 168).
        chance: true chance of an open at each hour of the week, shape (n, 168).
    """

    run: Run
    counts: Floats
    earlier: Floats
    lately: Floats
    chance: Floats


def measure(seeds: Iterable[int] | None = None) -> dict[str, Any]:
    """Return the share of the oracle's gain by scenario and policy, means over seeds."""
    asked = list(range(FIRST_SEED, FIRST_SEED + WORLDS) if seeds is None else seeds)
    shares = {scenario: pd.DataFrame([compare(a_world(scenario, seed)) for seed in asked]) for scenario in TARGETS}
    ours = {scenario: float(found["profile"].mean()) for scenario, found in shares.items()}
    return {
        "worlds": len(asked),
        **{scenario: found.mean().round(3).to_dict() for scenario, found in shares.items()},
        "sd": {scenario: round(float(found["profile"].std(ddof=1)), 3) for scenario, found in shares.items()},
        "met": all(ours[scenario] >= target for scenario, target in TARGETS.items()),
    }


def a_world(scenario: str, seed: int, people: int = PEOPLE) -> World:
    """Return people after four weeks with three messages a week."""
    last: list[Truth] = []
    policy = by_name("cap:3")

    def told(state: DayState) -> Sends:
        last[:] = [state.truth]
        return policy(state)

    run = simulate(SCENARIOS[scenario], told, people=people, days=DAYS, seed=seed)
    visits = run.visits
    hour = (visits["day"] % 7 * HOURS_OF_DAY + visits["hour"].astype(int)).to_numpy(dtype=np.int64)
    who = visits["person"].to_numpy(dtype=np.int64)
    age = DAYS - (visits["day"] + visits["hour"] / HOURS_OF_DAY).to_numpy()
    before = age > 7  # noqa: PLR2004
    return World(
        run,
        dataset.counted(who, hour, age, recipients=people),
        dataset.counted(who[before], hour[before], age[before] - 7, recipients=people),
        dataset.counted(who[~before], hour[~before], np.zeros((~before).sum()), recipients=people),
        _chance(last[0]),
    )


def compare(world: World) -> dict[str, float]:
    """Return each policy's share of the oracle's gain."""
    brought = {name: _brought(policy(world), world.chance) for name, policy in POLICIES.items()}
    by_day = world.chance.reshape(-1, 7, HOURS_OF_DAY)[:, :, _OPEN]
    chance, best = float(by_day.mean()), float(by_day.max(axis=2).mean())
    return {name: (value - chance) / (best - chance) for name, value in brought.items()}


def _brought(scores: Floats, chance: Floats) -> float:
    """Return the mean chance of an open at the hour of each day that scores highest."""
    by_day = scores.reshape(-1, 7, HOURS_OF_DAY)[:, :, _OPEN]
    at = by_day.argmax(axis=2)[:, :, None]
    return float(np.take_along_axis(chance.reshape(-1, 7, HOURS_OF_DAY)[:, :, _OPEN], at, axis=2).mean())


def _chance(truth: Truth) -> Floats:
    people, scene = truth.population, truth.scenario
    base = scene.open_rates[0]
    logit = np.log(base / (1 - base)) + people.openness[:, None] + scene.timing * np.log(people.profile)
    return np.asarray(scene.opens_factor / (1 + np.exp(-logit)))


def _profile(world: World) -> Floats:
    return score.activity(world.counts, train.fit(world.counts, world.earlier, world.lately, seed=0))


def _prior(world: World) -> Floats:
    return score.activity(np.zeros_like(world.counts))


def _best_hour(world: World) -> Floats:
    """Return the hour of the day at which most messages were opened, the same for everybody."""
    opened = _by_hour(world, "opened").sum(axis=0) + 1
    sent = _by_hour(world).sum(axis=0) + 1 / 0.04
    return np.tile(opened / sent, (len(world.counts), 7))


def _modal(world: World) -> Floats:
    """Return the hour at which a person was seen most often, by chance where several were."""
    by_day = world.counts.reshape(-1, 7, HOURS_OF_DAY).sum(axis=1)
    return np.tile(by_day + np.random.default_rng(0).uniform(0, 1e-6, by_day.shape), (1, 7))


def _thompson(world: World) -> Floats:
    """Return draws of each person's own rate in two-hour slots."""
    rng = np.random.default_rng(0)
    sent, opened = (
        each.reshape(len(world.counts), -1, 2).sum(axis=2) for each in (_by_hour(world), _by_hour(world, "opened"))
    )
    drawn = rng.beta(1 + opened, 1 / 0.04 + sent - opened)
    return np.tile(np.repeat(drawn, 2, axis=1), (1, 7))


def _by_hour(world: World, column: str | None = None) -> Floats:
    rows = world.run.sends
    made = np.zeros((len(world.counts), HOURS_OF_DAY))
    amount = 1.0 if column is None else rows[column].to_numpy(dtype=np.float64)
    np.add.at(made, (rows["person"].to_numpy(dtype=np.int64), rows["hour"].to_numpy().astype(np.int64)), amount)
    return made


POLICIES: dict[str, Callable[[World], Floats]] = {
    "profile": _profile,
    "prior": _prior,
    "best_hour": _best_hour,
    "modal_hour": _modal,
    "thompson_2h": _thompson,
}
"""By name: ours, ours before anything was learnt, and what anybody has."""
