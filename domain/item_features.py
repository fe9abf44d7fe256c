"""What kind of words a variant has, as its author says: a closed set, so that one variant teaches of its kind."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from domain.values import Frozen


class ItemFeatures(Frozen):
    """Features of a variant; what is not said is not known, and counts for nothing."""

    tone: Literal["formal", "friendly", "urgent", "playful"] | None = None
    length: Literal["short", "long"] | None = None
    has_discount: bool | None = None
    discount_percent: float | None = Field(default=None, gt=0, le=100)
    has_question: bool | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.has_discount is False and self.discount_percent is not None:
            raise ValueError("discount_percent needs a discount; has_discount says there is none")
        return self


def merged(parts: Sequence[ItemFeatures | None]) -> ItemFeatures | None:
    """Return what several parts of a message say together, the later part where two say different things."""
    told: dict[str, object] = {}
    for each in parts:
        told |= each.model_dump(exclude_none=True) if each is not None else {}
    return ItemFeatures.model_validate(told) if told else None
