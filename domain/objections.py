"""Objections (GDPR Art. 21): marketing ends for whoever objects to it, and profiling for whoever objects to that.

An objection stands: no import, no later consent and no operator takes it back.
"""

from enum import StrEnum

from domain.suppression import SuppressionCause
from domain.values import Frozen, Moment, Purpose


class ObjectionKind(StrEnum):
    """What a person objects to."""

    MARKETING = "marketing"
    PROFILING = "profiling"

    @property
    def purpose(self) -> Purpose:
        """The purpose whose consent it withdraws besides."""
        return Purpose.MARKETING if self is ObjectionKind.MARKETING else Purpose.PERSONALIZATION

    @property
    def cause(self) -> SuppressionCause:
        """How it stands among what suppresses messages."""
        is_marketing = self is ObjectionKind.MARKETING
        return SuppressionCause.OBJECTED if is_marketing else SuppressionCause.OBJECTED_PROFILING


class Objection(Frozen):
    """An objection as it stands."""

    against: ObjectionKind
    since: Moment
    source: str
