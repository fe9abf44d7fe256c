"""Breakers around what decisions ask of others: who does not answer is not asked for a while, and one call tries it.

The states are ``domain.circuit``'s; here are the lock, the clock, the log line of each change and the numbers.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import Counter, Gauge

from adapters.cms import CmsDown
from adapters.feature_store import FeatureStoreUnavailable
from adapters.postgres.engine import Unavailable
from adapters.variant_writer import WriterUnavailable
from domain.circuit import Circuit, State, Thresholds

log = structlog.get_logger("kairos.breakers")
_OPENED = Counter("kairos_breaker_opened", "Times a breaker opened.", ("name",))
_REFUSED = Counter("kairos_breaker_refused", "Calls that an open breaker did not let through.", ("name",))
_STATE = Gauge("kairos_breaker_state", "0 closed, 1 half-open, 2 open.", ("name",), multiprocess_mode="mostrecent")
SLOW_CONTENT_SECONDS = 3.0
"""For one page of a content system."""
_NUMBER = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class Open(ConnectionError):
    """The other side did not answer lately, so that it was not asked."""


class Breaker:
    """One breaker, shared by every thread that asks the same other side."""

    def __init__(
        self,
        name: str,
        *,
        failures: tuple[type[Exception], ...],
        thresholds: Thresholds | None = None,
        slow_seconds: float = float("inf"),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin closed.

        Args:
            name: of the other side, in logs and metrics.
            failures: exceptions that say the other side did not answer; any other is an answer.
            thresholds: when it opens and how long it rests.
            slow_seconds: an answer later than this counts as none, though it is used.
            monotonic: the clock.
        """
        self.name = name
        self._failures = failures
        self._slow_seconds = slow_seconds
        self._monotonic = monotonic
        self._circuit = Circuit(thresholds)
        self._lock = threading.Lock()
        _STATE.labels(name).set(0)

    @property
    def state(self) -> State:
        """Whether calls are let through."""
        return self._circuit.state

    @property
    def openings(self) -> int:
        """How often it opened."""
        return self._circuit.openings

    @property
    def is_lost(self) -> bool:
        """Whether who watches the other side said last that it is not there: no reason to wait any longer."""
        return self._circuit.is_lost

    def lost(self) -> None:
        """Open, and risk no call before ``found``: who watches the other side does not find it."""
        with self._lock:
            before = self._circuit.state
            self._circuit.lost(self._monotonic())
            self._changed(before)

    def found(self) -> None:
        """Close, when it was lost before."""
        with self._lock:
            before = self._circuit.state
            self._circuit.found()
            self._changed(before)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Make one call inside the block.

        Raises:
            Open: it is not to be made now.
        """
        call = self._admitted()
        began = self._monotonic()
        try:
            yield
        except self._failures:
            self._told(call, is_answered=False)
            raise
        except BaseException:
            self._told(call, is_answered=True)
            raise
        self._told(call, is_answered=self._monotonic() - began <= self._slow_seconds)

    def _admitted(self) -> int:
        with self._lock:
            before = self._circuit.state
            call = self._circuit.admits(self._monotonic())
            self._changed(before)
        if call is None:
            _REFUSED.labels(self.name).inc()
            raise Open(f"{self.name} did not answer lately")
        return call

    def _told(self, call: int, *, is_answered: bool) -> None:
        with self._lock:
            before = self._circuit.state
            note = self._circuit.succeeded if is_answered else self._circuit.failed
            note(call, self._monotonic())
            self._changed(before)

    def _changed(self, before: State) -> None:
        after = self._circuit.state
        if after is before:
            return
        _STATE.labels(self.name).set(_NUMBER[after])
        if after is State.OPEN:
            _OPENED.labels(self.name).inc()
        log.warning("breaker.changed", name=self.name, before=before.value, after=after.value)


def consent_store() -> Breaker:
    """Return the breaker of PostgreSQL on a decision's way: a try may cost a second, so three in a row are enough."""
    return Breaker("postgres", failures=(Unavailable,), thresholds=Thresholds(in_a_row=3))


def online_features() -> Breaker:
    """Return the breaker of the online features: where decisions are few, five in a row are enough."""
    return Breaker("online_features", failures=(FeatureStoreUnavailable,), thresholds=Thresholds(in_a_row=5))


def content_system(tenant: str) -> Breaker:
    """Return the breaker of one tenant's content system: a try may take five seconds, so three in a row are enough.

    What takes most of that holds a thread almost as long as what never comes: used, and counted as a failure.
    """
    return Breaker(
        f"content:{tenant}", failures=(CmsDown,), thresholds=Thresholds(in_a_row=3), slow_seconds=SLOW_CONTENT_SECONDS
    )


def variant_writer() -> Breaker:
    """Return the breaker of the writer of variants: a try may take twenty seconds."""
    return Breaker("variant_writer", failures=(WriterUnavailable,), thresholds=Thresholds(in_a_row=3))
