"""Stamps without an offset: what moment is meant, given the zone they were written in.

Twice a year a clock shows an hour twice or skips one. Such a stamp is refused unless the rule says what it means.
"""

from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


class Choice(StrEnum):
    """What to do with a stamp that means two moments, or none."""

    REJECT = "reject"
    EARLIER = "earlier"
    LATER = "later"


class NoSuchMoment(ValueError):
    """The stamp means two moments or none, and no rule says which."""


def moment(naive: datetime, zone: ZoneInfo, *, ambiguous: Choice, skipped: Choice) -> datetime:
    """Return the moment, in UTC, that a clock in ``zone`` showed as ``naive``.

    Args:
        naive: the stamp, without an offset.
        zone: where the clock was.
        ambiguous: for a stamp in the hour that comes twice.
        skipped: for a stamp in the hour that is left out; earlier and later are the offsets after and before it.

    Raises:
        NoSuchMoment: the rule for such a stamp is to reject it.
    """
    try:
        first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        raise NoSuchMoment("a stamp that lies between the years 1 and 9999 in UTC too") from None
    if first == second:
        return first
    # In a gap the first reading, with the offset before the change, is the later moment (PEP 495).
    is_gap = first > second
    choice = skipped if is_gap else ambiguous
    if choice is Choice.REJECT:
        what = "does not exist" if is_gap else "comes twice"
        raise NoSuchMoment(f"a stamp that is one moment in {zone.key}; this one {what} there")
    return min(first, second) if choice is Choice.EARLIER else max(first, second)
