"""A circuit breaker's states: closed, open, half-open with exactly one probe; time is an argument.

It opens when enough of the calls within a window failed, rests twice as long each time its probe fails, and closes
with the first probe that succeeds. Who watches the other side may say besides that it is lost: then it is open, and no
call is risked, until they say that it is found. Nothing here waits, and nothing is safe to share between threads.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class Thresholds:
    """When it opens, and how long it rests, in seconds.

    It opens when of at least ``calls`` calls within ``window`` a ``share`` or more failed.
    """

    calls: int = 20
    share: float = 0.5
    window: float = 1.0
    first_rest: float = 1.0
    longest_rest: float = 30.0
    in_a_row: int | None = None
    """Failures with no success between them that open it, whatever the share: of calls that take long to fail."""
    probe_patience: float = 10.0
    """After which a probe that nobody told the end of is given up, and another may be sent."""


class Circuit:
    """One circuit. Every call that ``admits`` let through must be told of by ``succeeded``, ``failed`` or ``dropped``.

    A call carries the number that ``admits`` returned: what was begun before the circuit opened says nothing about
    how the other side is by now.
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self.thresholds = thresholds or Thresholds()
        self.state = State.CLOSED
        self.openings = 0
        """How often it opened, its probes' failures included."""
        self.is_lost = False
        """Whether who watches the other side said last that it is not there."""
        self._era = 0
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._row = 0
        self._rest = self.thresholds.first_rest
        self._until = 0.0

    def admits(self, now: float) -> int | None:
        """Return the number of the call that may be made, None when none may be."""
        if self.state is State.CLOSED:
            return self._era
        if self.is_lost or now < self._until:
            return None
        # The one probe; the next is not before this one has ended, or was given up.
        self.state = State.HALF_OPEN
        self._until = now + self.thresholds.probe_patience
        self._era += 1
        return self._era

    def succeeded(self, call: int, now: float) -> None:
        """Note that a call was answered in time."""
        if call != self._era:
            return
        if self.state is State.HALF_OPEN:
            self._close()
        elif self.state is State.CLOSED:
            self._note(now, is_failure=False)

    def failed(self, call: int, now: float) -> None:
        """Note that a call was not answered, or too late."""
        if call != self._era:
            return
        if self.state is State.HALF_OPEN:
            self._rest = min(2 * self._rest, self.thresholds.longest_rest)
            self._open(now)
        elif self.state is State.CLOSED:
            self._note(now, is_failure=True)
            if self._is_broken():
                self._open(now)

    def dropped(self, call: int, now: float) -> None:
        """Note that a call was not made after all; another may be the probe at once."""
        if call == self._era and self.state is State.HALF_OPEN:
            self.state = State.OPEN
            self._until = now

    def lost(self, now: float) -> None:
        """Note that who watches the other side does not find it: it opens, and calls under way say nothing."""
        if not self.is_lost:
            self.is_lost = True
            self._open(now)

    def found(self) -> None:
        """Note that who lost the other side found it again: it closes."""
        if self.is_lost:
            self.is_lost = False
            self._close()

    def _note(self, now: float, *, is_failure: bool) -> None:
        self._calls.append((now, is_failure))
        self._failures += is_failure
        self._row = self._row + 1 if is_failure else 0
        while self._calls[0][0] <= now - self.thresholds.window:
            self._failures -= self._calls.popleft()[1]

    def _is_broken(self) -> bool:
        made, in_a_row = len(self._calls), self.thresholds.in_a_row
        if in_a_row is not None and self._row >= in_a_row:
            return True
        return made >= self.thresholds.calls and self._failures >= self.thresholds.share * made

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self.openings += 1
        self._until = now + self._rest
        self._forget()

    def _close(self) -> None:
        self.state = State.CLOSED
        self._rest = self.thresholds.first_rest
        self._forget()

    def _forget(self) -> None:
        self._era += 1
        self._calls.clear()
        self._failures = self._row = 0
