"""What lint asks a library about a text, by estimates: in which languages it may be written, and how it sounds."""

from collections.abc import Mapping
from typing import Protocol

MOST_CHARACTERS = 4_000
"""Of a text that are read."""


class Reader(Protocol):
    """Reads texts."""

    def likely_languages(self, text: str) -> Mapping[str, float]:
        """Return how likely a text is written in each language that is known (ISO 639-1), with the sum 1."""

    def tone(self, text: str) -> float:
        """Return how an English text sounds, from -1, hostile, over 0, neutral, to 1, enthusiastic."""
