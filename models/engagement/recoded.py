"""What one model version read, as another reads it: a code is a place in lists that each version has of its own."""

import math
from collections.abc import Mapping, Sequence

OF_THE_DECISION = {"message_type_code": "message_type", "channel_code": "channel"}
"""Features that a decision itself says, and the list that each is a place in."""
OF_THE_RECIPIENT = {"category_top_code": "category"}
"""Features whose word is known only with the lists of the version that read it."""

Vocabularies = Mapping[str, Sequence[str]]


def code(vocabularies: Vocabularies, name: str, word: str | None) -> float:
    """Return the place of a word in a version's list ``name``; NaN for a word it does not know, and for none."""
    words = vocabularies.get(name, ())
    return float(words.index(word)) if word is not None and word in words else math.nan


def of_decision(vocabularies: Vocabularies, feature: str, *, message_type: str, channel: str) -> float:
    """Return a feature of ``OF_THE_DECISION`` as a version with these lists reads it."""
    name = OF_THE_DECISION[feature]
    return code(vocabularies, name, channel if name == "channel" else message_type)
