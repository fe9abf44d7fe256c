"""What models expect of a decision's options: pure numbers, made before any draw and recorded with the decision.

Every number has a prior behind it, so that a decision is whole before anything was learnt.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from domain.policy import PolicyName
from domain.values import Channel, Frozen

HOURS_OF_WEEK = 168
Share = Annotated[float, Field(ge=0, le=1)]


class Weights(Frozen):
    """What an outcome is worth, in conversions."""

    visit: float = Field(default=0.0, ge=0, description="An open that brings somebody who would not have come.")
    conversion: float = Field(default=1.0, ge=0)


class ChannelTerms(Frozen):
    """What one message on one channel is expected to bring and to cost.

        value = w_visit * p_open * (1 - p_active) + w_conversion * p_convert - p_opt_out * channel_value - cost

    ``p_convert`` is given the send. None counts for nothing: no model speaks to it.
    """

    p_open: Share | None = None
    p_active: Share | None = Field(default=None, description="Active in the window without a send.")
    p_convert: Share | None = None
    p_opt_out: Share | None = None
    channel_value: float = Field(default=0.0, ge=0, description="What losing the channel costs, in conversions.")
    cost: float = Field(default=0.0, ge=0, description="Of one send, in conversions.")
    price: float = Field(default=0.0, ge=0, description="Of a unit of the channel's volume, in conversions.")
    fatigue: float | None = Field(default=None, ge=0)
    boost: float = Field(default=0.0, ge=-1, le=1, description="Of business rules: a share of what conversions bring.")

    def terms(self, weights: Weights) -> dict[str, float]:
        """Return the four terms of the value, signed, in conversions; a fifth where business rules move it."""
        visit = (self.p_open or 0.0) * (1 - (self.p_active or 0.0))
        conversion = weights.conversion * (self.p_convert or 0.0)
        boost = {"boost": self.boost * conversion} if self.boost else {}
        return boost | {
            "visit": weights.visit * visit,
            "conversion": conversion,
            "opt_out": -(self.p_opt_out or 0.0) * self.channel_value,
            "cost": -self.cost,
        }

    def value(self, weights: Weights) -> float:
        """Return the value, before the price."""
        return sum(self.terms(weights).values())

    def net(self, weights: Weights) -> float:
        """Return what is gained over sending nothing: the value less the price of the volume it takes."""
        return self.value(weights) - self.price


class VariantScores(Frozen):
    """A variant policy's distribution over the variants that may be sent, and what it was made from.

    ``inputs`` repeats it: expected rewards, exposures and the version of the belief, by name.
    """

    policy: PolicyName
    arms: tuple[str, ...] = Field(min_length=1)
    probabilities: tuple[Share, ...]
    inputs: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.arms) != len(self.probabilities):
            raise ValueError("probabilities must be one for each arm")
        return self


class Activity(Frozen):
    """How active a recipient is, by hour of week on their own clock, Monday 00:00 first: log of a mean-1 profile."""

    source: str
    log_rates: tuple[float, ...] = Field(min_length=HOURS_OF_WEEK, max_length=HOURS_OF_WEEK)

    @field_validator("log_rates", mode="before")
    @classmethod
    def _of_some_hours(cls, given: object) -> object:
        """Accept the hours a record keeps, by number; the others were not looked at."""
        if not isinstance(given, Mapping):
            return given
        return tuple(given.get(str(hour), 0.0) for hour in range(HOURS_OF_WEEK))


class Slopes(Frozen):
    """By how much a unit of weariness moved the log-odds of an answer, and of an opt-out."""

    on_open: float
    on_opt_out: float


class Expected(Frozen):
    """Everything models say about one decision.

    ``is_personal`` when any of it stands on the recipient's features, which a late withdrawal takes away.
    """

    channels: Mapping[Channel, ChannelTerms] = Field(default_factory=dict)
    variants: Mapping[Channel, VariantScores] = Field(default_factory=dict)
    activity: Activity | None = None
    is_personal: bool = False
    slopes: Slopes | None = None
    models: Mapping[str, str] = Field(
        default_factory=dict, description="Version of each fitted model of hours and channels; others are priors."
    )

    @property
    def can_value(self) -> bool:
        """True when a model speaks to conversions, so that channels can be compared by value."""
        return bool(self.channels) and all(each.p_convert is not None for each in self.channels.values())
