"""Words that revoke a consent: found in a text however it is written and whatever stands around them."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import timedelta

CONFIRMATION_WINDOW = timedelta(minutes=5)
"""47 CFR 64.1200(a)(12): a later confirmation is a message of its own, which needs a consent."""

_NO_WORD = re.compile(r"[\W_]+")


def revocation(text: str, keywords: Iterable[str]) -> str | None:
    """Return the keyword a text revokes with, or None.

    A keyword counts as whole words in any case, with anything around it; one of two words also written as one. When in
    doubt it is a revocation: a person who is kept by mistake can say so, one who is not let go cannot.
    """
    words = f" {_NO_WORD.sub(' ', unicodedata.normalize('NFKC', text).casefold()).strip()} "
    return next((each for each in keywords if f" {each} " in words or f" {each.replace(' ', '')} " in words), None)
