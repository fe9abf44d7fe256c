"""Hooks in our own process: Python entry points of the group ``kairos.hooks``, each called within a time of its own.

A hook can fail, hang or be wrong, and a decision is made all the same. One before a decision may only take channels
away, and what it took is in the record like a business rule; the others are told once something is done.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from threading import BoundedSemaphore
from typing import Any

import structlog
from prometheus_client import Counter

from domain.business_rules import Ruled
from domain.circuit import Thresholds
from domain.values import Channel
from serving.breakers import Breaker, Open

GROUP = "kairos.hooks"
PRE_DECISION = "pre_decision"
POINTS = (PRE_DECISION, "post_decision", "profile_updated", "quality_threshold_failed")
SECONDS = 0.005
"""How long hooks before a decision may take, each."""
THREADS = 4
MOST_WAITING = 200
_CALLS = Counter("kairos_local_hooks", "Calls of hooks in this process, by how they went.", ("point", "how"))
_NOT_IN_A_RULE_ID = re.compile(r"[^a-z0-9_-]")
log = structlog.get_logger("kairos.hooks")


class HookFailed(RuntimeError):
    """A hook raised something, answered nonsense, or did not answer in time."""


@dataclass(frozen=True)
class Hook:
    """One hook: its name is that of its entry point, ``pre_decision.frequency`` for instance."""

    name: str
    call: Callable[[Mapping[str, Any]], Any]
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        made = Breaker(f"hook.{self.name}", failures=(HookFailed,), thresholds=Thresholds(calls=5, window=10.0))
        object.__setattr__(self, "breaker", made)

    @property
    def point(self) -> str:
        """Where it is called."""
        return self.name.partition(".")[0]

    @property
    def rule_id(self) -> str:
        """Its name as that of a rule, for the record."""
        return "hook-" + _NOT_IN_A_RULE_ID.sub("-", self.name.lower())[:58]


class LocalHooks:
    """Calls hooks."""

    def __init__(self, hooks: Sequence[Hook] = (), *, seconds: float = SECONDS) -> None:
        """Prepare to call.

        Args:
            hooks: those there are; one whose point is none of ``POINTS`` is left out, and that is told.
            seconds: how long one before a decision may take.
        """
        for unknown in (each.name for each in hooks if each.point not in POINTS):
            log.error("hook.unknown_point", hook=unknown, expected=", ".join(POINTS))
        self._hooks = [each for each in hooks if each.point in POINTS]
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hook")
        self._room = BoundedSemaphore(MOST_WAITING)

    @classmethod
    def installed(cls) -> "LocalHooks":
        """Return the hooks that are installed beside us; one that cannot be imported is left out, and that is told."""
        found = []
        for entry in entry_points(group=GROUP):
            try:
                found.append(Hook(entry.name, entry.load()))
            except Exception as error:  # noqa: BLE001 - somebody else's code, which must not keep us from starting
                log.error("hook.not_loaded", hook=entry.name, error=type(error).__name__)  # noqa: TRY400
        return cls(found)

    def tightened(self, ruled: Ruled, channels: Sequence[Channel], facts: Mapping[str, Any]) -> Ruled:
        """Return the rules' outcome with the channels taken away that a hook names; nothing else can be changed.

        Args:
            ruled: what business rules came to.
            channels: of the message type.
            facts: what hooks are told, JSON-ready.
        """
        for hook in self._at(PRE_DECISION):
            ruled = ruled.without(self._answer(hook, channels, facts), by=hook.rule_id)
        return ruled

    def tell(self, point: str, facts: Mapping[str, Any]) -> None:
        """Tell what happened; returns at once. With too many waiting, it is not told, and counted."""
        for hook in self._at(point):
            if not self._room.acquire(blocking=False):
                _CALLS.labels(point, "dropped").inc()
                continue
            self._pool.submit(self._called, hook, facts).add_done_callback(lambda _: self._room.release())

    def has(self, point: str) -> bool:
        """Tell whether any hook is called there."""
        return bool(self._at(point))

    def close(self) -> None:
        """Call no more; a hook that hangs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _at(self, point: str) -> list[Hook]:
        return [each for each in self._hooks if each.point == point]

    def _answer(self, hook: Hook, channels: Sequence[Channel], facts: Mapping[str, Any]) -> list[Channel]:
        try:
            with hook.breaker.calling():
                asked = self._pool.submit(hook.call, facts)
                try:
                    return _named(asked.result(self._seconds), channels)
                except TooSlow:
                    asked.cancel()
                    raise HookFailed("late") from None
                except Exception as error:  # noqa: BLE001 - somebody else's code
                    raise HookFailed(type(error).__name__) from None
        except (HookFailed, Open) as failure:
            self._tell_failure(hook, failure)
            return []

    def _called(self, hook: Hook, facts: Mapping[str, Any]) -> None:
        try:
            with hook.breaker.calling():
                try:
                    hook.call(facts)
                except Exception as error:  # noqa: BLE001 - somebody else's code
                    raise HookFailed(type(error).__name__) from None
            _CALLS.labels(hook.point, "called").inc()
        except (HookFailed, Open) as failure:
            self._tell_failure(hook, failure)

    def _tell_failure(self, hook: Hook, failure: Exception) -> None:
        _CALLS.labels(hook.point, "spared" if isinstance(failure, Open) else "failed").inc()
        if not isinstance(failure, Open):
            log.warning("hook.failed", hook=hook.name, problem=str(failure))


def _named(answer: Any, channels: Iterable[Channel]) -> list[Channel]:
    """Return the channels that an answer names; None names none.

    Raises:
        ValueError: it names something else.
    """
    named = {Channel(each) for each in answer or ()}
    return [channel for channel in channels if channel in named]
