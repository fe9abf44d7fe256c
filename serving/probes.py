"""Probes: is a dependency there, asked within a time limit and never twice at once.

A dependency that hangs costs one thread, not one for each question; the answer is then that it is slow.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field
from enum import StrEnum

PROBE_SECONDS = 1.0
"""Longest a question about readiness waits for any dependency."""


class State(StrEnum):
    """How a dependency is."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    SLOW = "slow"


class Readiness(StrEnum):
    """What the service can do: everything, its main job by a fallback, or nothing that may be acknowledged."""

    READY = "ready"
    DEGRADED = "degraded"
    NOT_READY = "not_ready"


@dataclass(frozen=True)
class Probe:
    """One dependency: ``check`` raises when it is not usable.

    Args:
        name: what operators call it.
        check: any exception means unavailable; it may block, another thread runs it.
        is_required: without it the service is not ready; otherwise it is degraded.
    """

    name: str
    check: Callable[[], object]
    is_required: bool = False
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe"), repr=False, compare=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _running: list[Future[State]] = field(default_factory=list, repr=False, compare=False)

    def ask(self) -> Future[State]:
        """Start the check, or join the one that is still running."""
        with self._lock:
            if not self._running or self._running[0].done():
                self._running[:] = [self._pool.submit(self._answer)]
            return self._running[0]

    def close(self) -> None:
        """Take no further question; a check that hangs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self) -> State:
        try:
            self.check()
        except Exception:  # noqa: BLE001 - whatever a client raises, the dependency cannot be used now
            return State.UNAVAILABLE
        return State.OK


def survey(probes: Sequence[Probe], *, seconds: float = PROBE_SECONDS) -> tuple[Readiness, dict[str, State]]:
    """Ask every dependency at once and return what the service can do, and the state of each."""
    asked = [(probe, probe.ask()) for probe in probes]
    states = {probe.name: _within(future, seconds) for probe, future in asked}
    missing = [probe for probe in probes if states[probe.name] is not State.OK]
    if any(probe.is_required for probe in missing):
        return Readiness.NOT_READY, states
    return (Readiness.DEGRADED if missing else Readiness.READY), states


def _within(future: Future[State], seconds: float) -> State:
    try:
        return future.result(timeout=seconds)
    except TooSlow:
        return State.SLOW
