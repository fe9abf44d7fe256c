"""How long data is kept: the installation's periods, a tenant's shorter ones, and a recipient's shorter still."""

from collections.abc import Mapping
from enum import StrEnum


class Retained(StrEnum):
    """What has a period of its own."""

    EVENTS = "events"
    DECISIONS = "decisions"
    DEAD_LETTERS = "dead_letters"
    JOBS = "jobs"


OF_A_PERSON = frozenset({Retained.EVENTS, Retained.DECISIONS, Retained.DEAD_LETTERS})
"""What a recipient's own period shortens."""


class NotShorter(ValueError):
    """A period may be shortened and never made longer; ``most`` is the longest that is allowed, in days."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"at most {most} days")


def effective(installation: Mapping[Retained, int], tenant: Mapping[Retained, int]) -> dict[Retained, int]:
    """Return the periods of a tenant in days: the installation's, or its own where that is shorter."""
    return {what: min(days, tenant.get(what, days)) for what, days in installation.items()}
