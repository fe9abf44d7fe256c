"""Whether a text is in the language it says it is: an estimate, made to be silent where it cannot tell."""

from domain.text_reading import MOST_CHARACTERS, Reader

LEAST_LETTERS = 8
SURE = 0.35
"""How likely another language must be before it is named."""
UNLIKELY = 0.02
"""How likely the language it claims may be at most."""
_ALIKE = (
    frozenset(("da", "nb", "nn", "no")),
    frozenset(("bs", "hr", "sr")),
    frozenset(("id", "ms")),
    frozenset(("en", "pcm")),
    frozenset(("zh", "yue", "wuu")),
)
"""Languages that short texts do not tell apart."""


def other_language(text: str, locale: str, reader: Reader) -> str | None:
    """Return what a text is probably written in instead of its locale's language, or None when it may well be that.

    Args:
        text: words without marks.
        locale: the language it claims; of one that the reader does not know nothing is told.
        reader: estimates languages.
    """
    text = text[:MOST_CHARACTERS]
    if sum(each.isalpha() for each in text) < LEAST_LETTERS:
        return None
    claimed = locale.partition("-")[0]
    likely = reader.likely_languages(text)
    alike = next((each for each in _ALIKE if claimed in each), frozenset((claimed,)))
    if not alike & likely.keys():
        return None
    best = max(likely, key=lambda language: likely[language])
    own = sum(likely.get(each, 0.0) for each in alike)
    return best if best not in alike and likely[best] >= SURE and own <= UNLIKELY else None
