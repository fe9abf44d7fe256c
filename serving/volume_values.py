"""What messages were worth in recorded decisions, as arrays: from which the price of a whole day can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from adapters.postgres.channel_prices import Drawn
from domain.expected import ChannelTerms
from domain.stages import Settings
from domain.values import Channel
from domain.volume_targets import TENANT
from models.volume import pacing
from models.volume.pacing import Booleans, Floats

_CHANNELS = [channel.value for channel in Channel]


@dataclass(frozen=True)
class Worth:
    """What one scope's messages were worth, the prices of all others off.

    Attributes:
        values: by decision and option, -inf where it is none, shape (n, K).
        mine: the scope's options, shape (K,).
        settings: of the policy that drew.
    """

    values: Floats
    mine: Booleans
    settings: Settings

    def price(self, total: float) -> tuple[float, float]:
        """Return the price under which these decisions come to so many messages, and the scale of its errors."""
        temperature, epsilon = self.settings.temperature, self.settings.epsilon
        price = pacing.policy_price(self.values, self.mine, total, temperature=temperature, epsilon=epsilon)
        best = self.values[:, self.mine].max(axis=1)
        # Below the temperature of the draw no difference in value moves a chance much.
        return price, max(float(best[np.isfinite(best)].std()), temperature)


@dataclass(frozen=True)
class Valued:
    """A sample of decisions that came to a draw, and which share of all decisions ``since`` a moment it is.

    ``hours`` counts all of them by local hour.
    """

    values: Floats
    settings: Settings | None
    hours: tuple[float, ...]
    since: datetime
    sampled: float
    prices: Mapping[str, float]

    @classmethod
    def of(cls, drawn: Drawn, prices: Mapping[str, float]) -> "Valued":
        """Return what was worth what, before any price.

        Args:
            drawn: as records keep it.
            prices: in force, by scope.
        """
        settings = Settings.model_validate(drawn.settings) if drawn.settings is not None else None
        rows = [_row(kept, settings) for kept in drawn.expected] if settings is not None else []
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(_CHANNELS))
        return cls(values, settings, drawn.hours, drawn.since, len(rows) / max(sum(drawn.hours), 1.0), prices)

    def without(self, scope: str) -> Worth | None:
        """Return what a scope's messages were worth with all prices off but its own; None where too few were valued."""
        mine = np.array([scope in {TENANT, name} for name in _CHANNELS])
        valued = np.isfinite(self.values[:, mine]).any(axis=1)
        if self.settings is None or valued.sum() < LEAST:
            return None
        others = {name: price for name, price in self.prices.items() if name != scope}
        off = [others.get(name, 0.0) + others.get(TENANT, 0.0) for name in _CHANNELS]
        return Worth(self.values[valued] - np.array(off), mine, self.settings)


LEAST = 20
"""Valued decisions without which no price is told."""


def _row(kept: Mapping[str, object], settings: Settings) -> list[float]:
    """Return a decision's values by channel; -inf where a channel was no option or no model spoke to it."""
    terms = {name: ChannelTerms.model_validate(each) for name, each in kept.items()}
    return [
        terms[name].value(settings.weights) if name in terms and terms[name].p_convert is not None else -np.inf
        for name in _CHANNELS
    ]
