"""A deadline: the moment on the monotonic clock by which a decision should be answered, passed down to every wait.

What may be left out is left out once nothing is left; what must be done, consent and the commit, has a floor.
"""

from dataclasses import dataclass

_PER_SECOND = 1_000


@dataclass(frozen=True)
class Deadline:
    """Seconds on a monotonic clock; whoever asks says what that clock shows."""

    ends: float

    @classmethod
    def after_ms(cls, milliseconds: float, now: float) -> "Deadline":
        """Return the deadline so many milliseconds from now."""
        return cls(now + milliseconds / _PER_SECOND)

    def left(self, now: float) -> float:
        """Return the seconds that are left, 0 when none are."""
        return max(0.0, self.ends - now)

    def is_over(self, now: float) -> bool:
        """Tell whether nothing is left."""
        return now >= self.ends


def seconds_for(deadline: Deadline | None, now: float, *, most: float, least: float = 0.0) -> float:
    """Return how long one wait may take: what is left, within what is usual for it.

    Args:
        deadline: None when nobody set one.
        now: what the monotonic clock shows.
        most: seconds the wait may take at any time.
        least: seconds it gets though nothing is left, for what must be done all the same.
    """
    return most if deadline is None else min(most, max(least, deadline.left(now)))
