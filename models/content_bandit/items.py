"""What the bandit sees of a variant besides its name: the features its author declared, each of size 0 to 1 or so.

A new variant is then judged by what others of its kind were worth, until it has outcomes of its own.
"""

from collections.abc import Iterable, Mapping

from domain.item_features import ItemFeatures
from domain.message_types import Variant

TONES = ("formal", "friendly", "urgent", "playful")
LENGTHS = ("short", "long")
_PERCENT_OF_ONE = 50.0
ITEM = (
    *(f"tone_{each}" for each in TONES),
    *(f"length_{each}" for each in LENGTHS),
    "has_discount",
    "discount",
    "has_question",
)
"""Names of an item's features, in order; a discount of 50 % is 1."""

Items = Mapping[str, tuple[float, ...]]
"""An item for each variant of a type: all of one length, or all empty where no variant declares any feature."""


def item(features: ItemFeatures | None) -> tuple[float, ...]:
    """Return a variant's features in the order of ``ITEM``; zeros where nothing is declared."""
    said = features or ItemFeatures()
    percent = said.discount_percent or 0.0
    return (
        *(float(each == said.tone) for each in TONES),
        *(float(each == said.length) for each in LENGTHS),
        float(bool(said.has_discount) or percent > 0),
        percent / _PERCENT_OF_ONE,
        float(bool(said.has_question)),
    )


def items_of(variants: Iterable[Variant]) -> dict[str, tuple[float, ...]]:
    """Return the item of each variant of a type."""
    told = {each.id: each.features for each in variants}
    is_declared = any(each is not None for each in told.values())
    return {name: item(each) if is_declared else () for name, each in told.items()}
