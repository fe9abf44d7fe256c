"""A policy that writes to whom a message is worth most, within a volume or above a price (experiments B7 and B21).

For three weeks chance alone decides, three messages a week in the mean. From what was opened it learns the chance of
an open, from who left the hazard of leaving, from visits each person's own rate; every message is then worth what
``models.volume.worth`` says. Variant and hour are drawn by chance, as the fixed caps draw them: only whom, and how
often, differs. It sees what a sender sees: consents, its own messages with their answers, visits, known interests.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost as xgb

from models.fatigue import score as weariness
from models.fatigue.spec import IGNORED, OPENED
from models.opt_out import score as leaving
from models.opt_out import train as opt_out
from models.send_time import score as hours
from models.simulator.policies import FIRST_HOUR, LAST_HOUR
from models.simulator.rhythms import Floats, Integers
from models.simulator.state import DayState, Sends
from models.uplift import structural
from models.volume import pacing
from models.volume.worth import worth

LEARNT_DAYS, LEARNT_SHARE = 21, 3 / 7
RATE_DAYS, PRIOR_VISITS, PRIOR_OPENS, PRIOR_SENDS = 60.0, 0.35, 0.04, 20.0
"""Half-life of visits in a person's rate; what is believed of visits a day and of opens before anything was seen."""
PRIOR_DAYS = 5.0


@dataclass
class PricedVolume:
    """The policy; a new one for each run.

    Attributes:
        people: in the population.
        weekly: messages a week for each who may be written to; None sends whatever is worth more than 0.
        lasting: of ``worth``.
        loss_days: days of a channel's value that leaving costs.
        seed: of the trees.
    """

    people: int
    weekly: float | None
    lasting: float
    loss_days: float
    seed: int = 0
    weary: Floats = field(init=False)
    visits: Floats = field(init=False)
    seen: Integers = field(init=False)
    rows: list[tuple[Floats, Floats]] = field(default_factory=list)
    messages: list[tuple[Floats, Floats]] = field(default_factory=list)
    booster: Any = None

    def __post_init__(self) -> None:
        """Begin rested."""
        self.weary, self.visits = np.zeros(self.people), np.zeros(self.people)
        self.seen, self.before = np.zeros(self.people, dtype=np.int64), (np.empty((0, 0)), np.empty(0))

    def __call__(self, state: DayState) -> Sends:
        """Return the day's messages."""
        self._take_in(state)
        hour = state.dice.uniform(FIRST_HOUR, LAST_HOUR, self.people)
        variant = state.dice.choice(state.shown, self.people)
        features = self._features(state, variant, hour)
        may = state.seen.consent[:, 0]
        if state.day < LEARNT_DAYS:
            chosen = may & (state.dice.random(self.people) < LEARNT_SHARE)
        else:
            chosen = may & self._worth_it(features, may)
        self.before = (features, self.weary.copy())
        who = np.flatnonzero(chosen).astype(np.int64)
        even = np.full(len(who), 1 / len(state.shown))
        return Sends(who, np.zeros(len(who), dtype=np.int64), variant[who], hour[who], even)

    def _take_in(self, state: DayState) -> None:
        """Learn what came of yesterday."""
        total = state.seen.visits.sum(axis=1)
        self.visits = self.visits * 2 ** (-1 / RATE_DAYS) + (total - self.seen)
        self.seen = total
        self.weary = weariness.later(self.weary, 1.0)
        sent = state.seen.yesterday
        if state.day and len(sent):
            who, opened = sent["person"].to_numpy(dtype=np.int64), sent["opened"].to_numpy(dtype=np.float64)
            features, weary = self.before
            if state.day <= LEARNT_DAYS:
                self.rows.append((features[who], opened))
            self.messages.append((weary[who], sent["opted_out"].to_numpy(dtype=np.float64)))
            self.weary[who] += np.where(opened > 0, OPENED, IGNORED)
        if state.day % 7 == 0:
            self.activity = hours.log_activity(state.seen.visits.astype(np.float64))
        if state.day >= LEARNT_DAYS and (state.day - LEARNT_DAYS) % 28 == 0:
            self._fit()

    def _fit(self) -> None:
        if self.booster is None:
            features, opened = (np.concatenate(part) for part in zip(*self.rows, strict=True))
            given = {"objective": "binary:logistic", "base_score": float(opened.mean()), "nthread": 1}
            given |= {"seed": self.seed, "tree_method": "hist"} | structural.CHANCE
            table = xgb.DMatrix(features, opened, nthread=1)
            self.booster = xgb.train(given, table, structural.CHANCE_ROUNDS)
        weary, left = (np.concatenate(part) for part in zip(*self.messages, strict=True))
        self.hazard = opt_out.fit(np.zeros(len(left), dtype=np.int64), weary, left)

    def _features(self, state: DayState, variant: Integers, hour: Floats) -> Floats:
        sent, opened = (each[:, 0].astype(np.float64) for each in (state.seen.sent, state.seen.opened))
        rate = (opened + PRIOR_OPENS * PRIOR_SENDS) / (sent + PRIOR_SENDS)
        at = self.activity[np.arange(self.people), state.truth.hour_of_week(hour)]
        fit = np.einsum("nk,nk->n", state.interests, state.variant_topics[variant])
        return np.column_stack([np.log(self._rate(state.day)), np.log(rate), at, hour, fit, self.weary, variant])

    def _rate(self, day: int) -> Floats:
        """Return each person's visits a day, decayed and pulled towards everybody's."""
        keep = 2 ** (-1 / RATE_DAYS)
        days = (1 - keep**day) / (1 - keep)
        return np.asarray((self.visits + PRIOR_VISITS * PRIOR_DAYS) / (days + PRIOR_DAYS))

    def _worth_it(self, features: Floats, may: Any) -> Any:
        p_open = np.asarray(self.booster.predict(xgb.DMatrix(features, nthread=1)), dtype=np.float64)
        visits = np.exp(features[:, 0])
        p_out = leaving.chance(np.zeros(self.people, dtype=np.int64), self.weary, self.hazard)
        loss = self.loss_days * p_open * np.exp(-visits)
        value = worth(p_open, visits, p_out, loss=loss, lasting=self.lasting)
        if self.weekly is None:
            return value > 0
        return value > pacing.first_price(value[may], self.weekly / 7 * may.sum())
