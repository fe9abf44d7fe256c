"""What a profile may say about a person, in closed lists and short texts, and how far it says it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.values import Frozen

MAX_LISTED = 50
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
Age = Annotated[int, Field(strict=True, ge=0, le=150)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""ISO 639, without script and region: ``fr``; the locale has those."""


class Experience(StrEnum):
    """How long somebody has done what they do, least first."""

    ENTRY = "entry"
    JUNIOR = "junior"
    MID = "mid"
    SENIOR = "senior"
    EXPERT = "expert"


class Tone(StrEnum):
    """How somebody wants to be spoken to."""

    FORMAL = "formal"
    NEUTRAL = "neutral"
    FRIENDLY = "friendly"
    PLAYFUL = "playful"


class Length(StrEnum):
    """How much somebody wants to read."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"


class ContentPreferences(Frozen):
    """About what, in which tone and at what length somebody wants to be written to."""

    topics: tuple[ShortText, ...] = Field(default=(), max_length=MAX_LISTED)
    tone: Tone | None = None
    length: Length | None = None


class ProfileSource(StrEnum):
    """Where a profile comes from, least trusted first."""

    INFERRED = "inferred"
    IMPORTED = "imported"
    APPLICATION = "application"
    DECLARED = "declared"

    @property
    def trust(self) -> float:
        """How far it is to be believed, 0.25 to 1."""
        return (list(ProfileSource).index(self) + 1) / len(ProfileSource)
