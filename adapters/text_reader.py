"""Languages and tones of texts, by libraries that hold their models themselves: nothing is fetched, at any time.

Both are loaded with the first text: the languages' model takes most of a second and 105 MB, which only lint needs.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from domain.text_reading import MOST_CHARACTERS


class TextReader:
    """Reads texts with py3langid and VADER."""

    def likely_languages(self, text: str) -> Mapping[str, float]:
        """Return how likely a text is written in each of 139 languages; all equally where it tells nothing."""
        return {language: float(chance) for language, chance in _identifier().rank(text[:MOST_CHARACTERS])}

    def tone(self, text: str) -> float:
        """Return VADER's compound score of an English text, in [-1, 1] (Hutto and Gilbert, ICWSM 2014)."""
        return float(_analyzer().polarity_scores(text[:MOST_CHARACTERS])["compound"])


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
