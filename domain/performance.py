"""Performance: what came of messages, by day and slice, told of no group that is small enough to point at somebody."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum

from pydantic import Field

from domain.values import Frozen

LEAST_PEOPLE = 20
"""Fewest people a group must have for its numbers to be told."""


class Slicing(StrEnum):
    """What groups are told apart by, besides the day."""

    CHANNELS = "channels"
    CONTENT = "content"
    TIMING = "timing"


class Group(Frozen):
    """The messages of one day and slice. Shares are of messages sent; an event counts once for each."""

    day: date = Field(description="On the tenant's calendar.")
    slice: dict[str, str] = Field(description="channel; message_type and variant_id of content; local_hour of timing.")
    people: int
    sent: int
    opened: int
    clicked: int
    converted: int
    unsubscribed: int
    complained: int
    open_share: float
    click_share: float
    conversion_share: float
    weighted_open_share: float | None = Field(
        default=None, description="Of timing: each message counts with 1 over the chance its hour was drawn with."
    )


class Performance(Frozen):
    """Groups by day and slice; ``withheld`` counts those with fewer people than may be told."""

    by: Slicing
    groups: tuple[Group, ...]
    withheld: int
    least_people: int = LEAST_PEOPLE


def told(by: Slicing, groups: Iterable[Group]) -> Performance:
    """Return the groups that are large enough to be told."""
    given = tuple(groups)
    large = tuple(each for each in given if each.people >= LEAST_PEOPLE)
    return Performance(by=by, groups=large, withheld=len(given) - len(large))
