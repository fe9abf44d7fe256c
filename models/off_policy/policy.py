"""A policy trained on a log: probabilities from a reward model, with a floor, as a JSON document of a known version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.off_policy.log import Booleans, Floats, Integers
from models.off_policy.reward_model import RewardModel

SCHEMA = "kairos.policy/1"

FLOOR = 0.02
"""Share spread evenly over the eligible actions: what is never tried is never learnt about."""


class BadPolicy(ValueError):
    """A document is no policy of this version."""


@dataclass(frozen=True)
class LearnedPolicy:
    """Softmax of expected rewards over the eligible actions, mixed with a uniform floor.

    Attributes:
        actions: names of the K actions.
        model: expected reward of each.
        temperature: in units of reward, > 0.
        floor: share spread evenly, in (0, 1].
        trained_on: what the log was: digest, rows, recipients, and what was found on the way.
    """

    actions: tuple[str, ...]
    model: RewardModel
    temperature: float
    floor: float
    trained_on: Mapping[str, Any]

    def probabilities(self, context: pd.DataFrame, eligible: Booleans | None = None) -> Floats:
        """Return the chance of each action in each row, shape (n, K); rows sum to 1.

        Args:
            context: the features, one column each, without the prefix ``context.``.
            eligible: shape (n, K), at least one in each row; every action where None.

        Raises:
            MissingFeature: a feature is missing.
        """
        values = self.model.predict(self.model.encoding.matrix(context))
        allowed = np.ones(values.shape, dtype=np.bool_) if eligible is None else eligible
        return softmax(values, allowed, temperature=self.temperature, floor=self.floor)

    def as_json(self) -> dict[str, Any]:
        """Return the document of the policy's file."""
        return {
            "schema": SCHEMA,
            "actions": list(self.actions),
            "temperature": self.temperature,
            "floor": self.floor,
            "trained_on": dict(self.trained_on),
            "model": self.model.as_json(),
        }

    @classmethod
    def from_json(cls, made: Any) -> "LearnedPolicy":
        """Read what :meth:`as_json` wrote.

        Raises:
            BadPolicy: it is of another version, or a part is missing or wrong.
        """
        schema = made.get("schema") if isinstance(made, dict) else None
        if schema != SCHEMA:
            raise BadPolicy(f"it is no policy of schema {SCHEMA}: its schema is {schema!r}")
        try:
            policy = cls(
                tuple(map(str, made["actions"])),
                RewardModel.from_json(made["model"]),
                float(made["temperature"]),
                float(made["floor"]),
                dict(made["trained_on"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadPolicy(f"a part of the policy is missing or wrong: {error}") from None
        if len(policy.model.means) != len(policy.actions) or policy.temperature <= 0 or not 0 < policy.floor <= 1:
            raise BadPolicy("its actions, temperature, floor and model do not fit together")
        return policy


def softmax(values: Floats, eligible: Booleans, *, temperature: float, floor: float) -> Floats:
    """Return probabilities over eligible actions that follow the values, each at least floor / eligible actions."""
    scaled = np.where(eligible, values, -np.inf) / temperature
    grown = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    counts = eligible.sum(axis=1, keepdims=True)
    mixed: Floats = (1 - floor) * grown / grown.sum(axis=1, keepdims=True) + floor * eligible / counts
    whole: Floats = mixed / mixed.sum(axis=1, keepdims=True)
    return whole


def draw(probabilities: Floats, seed: int) -> Integers:
    """Return an action for each row, shape (n,), drawn with these chances; the same seed draws the same."""
    points = np.random.default_rng(seed).random((len(probabilities), 1))
    reached = np.cumsum(probabilities, axis=1)
    drawn: Integers = np.minimum((points >= reached).sum(axis=1), _last_possible(probabilities)).astype(np.int64)
    return drawn


def _last_possible(probabilities: Floats) -> Integers:
    last: Integers = probabilities.shape[1] - 1 - np.argmax(probabilities[:, ::-1] > 0, axis=1)
    return last
