"""How closely the choice of whom to write to should follow what is expected of them: the temperature of the policy.

Made-up people are asked about once a day for 12 weeks. For four weeks everybody is written to; then each is with a
chance that grows with the share of their messages so far that they answered, drawn towards everybody's: what a model
would know of them at least. Beside each run the same number of messages goes out each day to people by chance. Worlds
have seeds 0 to 4, on which numbers may be tuned.
"""

import json
from typing import Any

import numpy as np

from benchmarks.arguments import parsed
from benchmarks.closed_loop import as_many, by_push_else_email, may_be_sent
from models.simulator.rhythms import Floats
from models.simulator.run import Run, simulate
from models.simulator.scenarios import SCENARIOS
from models.simulator.state import DayState, Policy, Sends

TEMPERATURES = (0.04, 0.02, 0.01, 0.005, 0.0025)
SEND_COST, EPSILON = 0.02, 0.1
DAYS, WARM_UP = 84, 28
PRIOR_SENDS = 20
"""Messages that everybody's share of answers counts for in one person's."""
WORLDS = 5


def main() -> None:
    """Try each temperature in each world, and tell."""
    asked = parsed(__doc__, recipients=(1000, "people in a world"), worlds=(WORLDS, "seeds from 0 on"))
    rows = [_tried(each, asked.recipients, asked.worlds) for each in TEMPERATURES]
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    if asked.json:
        print(json.dumps({"recipients": asked.recipients, "worlds": asked.worlds, "rows": rows}))


def _tried(temperature: float, people: int, worlds: int) -> dict[str, Any]:
    chosen, chance = np.zeros(2), np.zeros(2)
    for seed in range(worlds):
        world: dict[str, Any] = {"people": people, "days": DAYS, "seed": seed}
        run = simulate(SCENARIOS["realistic"], by_answers(temperature), **world)
        counts = run.daily["sent"].astype(int).tolist()
        peer = simulate(SCENARIOS["realistic"], as_many(counts), **world)
        chosen, chance = chosen + _after_warm_up(run), chance + _after_warm_up(peer)
    return {
        "temperature": temperature,
        "sent": int(chosen[0]),
        "answers": int(chosen[1]),
        "as_many_by_chance": int(chance[1]),
        "gain": round(float(chosen[1] / chance[1] - 1), 3),
        "worth": round(float(chosen[1] - SEND_COST * chosen[0]), 1),
    }


def _after_warm_up(run: Run) -> Floats:
    """Return messages and answers."""
    late = run.daily["day"] >= WARM_UP
    found: Floats = run.daily.loc[late, ["sent", "opened"]].sum().to_numpy(dtype=np.float64)
    return found


def by_answers(temperature: float) -> Policy:
    """Return a sender who follows people's own answers, as the policy of a decision's channel does."""

    def policy(state: DayState) -> Sends:
        may = np.flatnonzero(may_be_sent(state))
        if state.day < WARM_UP:
            return by_push_else_email(state, may)
        sent, opened = state.seen.sent.sum(axis=1), state.seen.opened.sum(axis=1)
        everybody = opened.sum() / max(int(sent.sum()), 1)
        expected = (opened + PRIOR_SENDS * everybody) / (sent + PRIOR_SENDS)
        follows = 1 / (1 + np.exp(-(expected - SEND_COST) / temperature))
        chances = (1 - EPSILON) * follows + EPSILON / 2
        return by_push_else_email(state, may[state.dice.random(len(may)) < chances[may]])

    return policy


if __name__ == "__main__":
    main()
