"""Findings of a gate: one condition each, with its number, its limit and a sentence, whether it held or not."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Claim(StrEnum):
    """What must be true of a challenger; each is a blocking check of its own."""

    BEATS_CHAMPION = "challenger_beats_champion"
    CALIBRATED_PER_CHANNEL = "challenger_is_calibrated_per_channel"
    NO_GROUP_WORSE = "challenger_makes_no_group_worse"
    FEATURES_AS_TRAINED = "challenger_sees_what_it_was_trained_on"
    FIT_TO_SERVE = "challenger_is_fit_to_serve"
    LIVE = "challenger_holds_on_live_decisions"
    SHADOW = "challenger_is_no_worse_as_shadow"
    CALIBRATED = "challenger_is_calibrated"


OF_CUSTOMERS = (Claim.BEATS_CHAMPION, Claim.CALIBRATED, Claim.FEATURES_AS_TRAINED, Claim.FIT_TO_SERVE)
"""Claims about a model of customers, which decides nothing by itself."""
OF_ENGAGEMENT = tuple(claim for claim in Claim if claim is not Claim.CALIBRATED)
"""Claims about the model that decides; it is calibrated on every channel."""


@dataclass(frozen=True)
class Finding:
    """One condition and how it came out.

    ``number`` is None where nobody can tell; then ``held`` is True, for what nobody knows refuses nobody, and the
    sentence says why nobody can tell. ``limit`` is the bound that the number was held against.
    """

    claim: Claim
    condition: str
    held: bool
    number: float | None
    limit: float | None
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Every finding about one challenger."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True when every condition held."""
        return all(finding.held for finding in self.findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The sentences of the conditions that did not hold."""
        return tuple(finding.sentence for finding in self.findings if not finding.held)

    def of(self, claim: Claim) -> tuple[Finding, ...]:
        """Return the findings behind one claim."""
        return tuple(finding for finding in self.findings if finding.claim is claim)


def unknown(claim: Claim, condition: str, why: Iterable[str] | str) -> Finding:
    """Return the finding that nobody can tell, and why."""
    told = why if isinstance(why, str) else "; ".join(why)
    return Finding(claim, condition, held=True, number=None, limit=None, sentence=f"{condition}: not told: {told}")
