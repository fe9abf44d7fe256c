"""Admission: how many requests are done at a time, who waits, and who is sent away when there are too many.

Real time (decisions, and reports of how messages fared, which may hold an opt-out), standard and batch each have a
queue with an end. A place that becomes free goes to real time first and to batch last, and batch never holds more than
half of the places. Opt-outs and what hands messages over pass at once: the places are fewer than the threads, so that a
thread is always left for them. One event loop uses it, without locks.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import Counter, Gauge

THREADS_NEVER_SHED = 4
"""Threads beyond the places: for who is never shed."""
_SHED = Counter("kairos_http_shed", "Requests sent away because there were too many.", ("lane", "why"))
_WAITING = Gauge("kairos_http_waiting", "Requests that wait for a place.", ("lane",), multiprocess_mode="livesum")
_RUNNING = Gauge("kairos_http_running", "Requests that have a place.", multiprocess_mode="livesum")


class Lane(StrEnum):
    """How long a request may wait, the most urgent first."""

    NEVER_SHED = "never_shed"
    REAL_TIME = "real_time"
    STANDARD = "standard"
    BATCH = "batch"


@dataclass(frozen=True)
class Queue:
    """How many may wait in a lane, and for how long."""

    most: int
    seconds: float


QUEUES: Mapping[Lane, Queue] = {
    Lane.REAL_TIME: Queue(500, 1.0),
    Lane.STANDARD: Queue(500, 5.0),
    Lane.BATCH: Queue(50, 10.0),
}
_WAITING_LANES = (Lane.REAL_TIME, Lane.STANDARD, Lane.BATCH)


class Overloaded(RuntimeError):
    """There is no place, and no room to wait for one or no time left to."""

    def __init__(self, lane: Lane, why: str) -> None:
        self.lane = lane
        super().__init__(f"too many requests in the lane {lane}: {why}")


class Admission:
    """The places of one service worker."""

    def __init__(self, places: int, queues: Mapping[Lane, Queue] = QUEUES) -> None:
        """Begin empty.

        Args:
            places: requests that are done at a time, those never shed aside.
            queues: of each lane that waits.
        """
        self._places = places
        self._most_batch = max(1, places // 2)
        self._queues = queues
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in _WAITING_LANES}
        self._running = dict.fromkeys(_WAITING_LANES, 0)

    @asynccontextmanager
    async def place(self, lane: Lane) -> AsyncIterator[None]:
        """Have a place inside the block.

        Raises:
            Overloaded: there is none to be had.
        """
        if lane is Lane.NEVER_SHED:
            yield
            return
        await self._enter(lane)
        _RUNNING.inc()
        try:
            yield
        finally:
            _RUNNING.dec()
            self._running[lane] -= 1
            self._admit()

    async def _enter(self, lane: Lane) -> None:
        queue = self._waiting[lane]
        if self._has_room(lane) and not any(self._waiting[each] for each in _up_to(lane)):
            self._running[lane] += 1
            return
        if len(queue) >= self._queues[lane].most:
            _SHED.labels(lane.value, "full").inc()
            raise Overloaded(lane, "the queue is full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        _WAITING.labels(lane.value).inc()
        try:
            await asyncio.wait_for(asyncio.shield(turn), self._queues[lane].seconds)
        except TimeoutError:
            self._given_up(lane, turn)
            if not turn.done():
                turn.cancel()
                _SHED.labels(lane.value, "late").inc()
                raise Overloaded(lane, "no place became free in time") from None
        except asyncio.CancelledError:
            self._given_up(lane, turn)
            if turn.done():
                # A place was given to somebody who has gone.
                self._running[lane] -= 1
                self._admit()
            raise
        finally:
            _WAITING.labels(lane.value).dec()

    def _given_up(self, lane: Lane, turn: asyncio.Future[None]) -> None:
        if turn in self._waiting[lane]:
            self._waiting[lane].remove(turn)

    def _has_room(self, lane: Lane) -> bool:
        if sum(self._running.values()) >= self._places:
            return False
        return lane is not Lane.BATCH or self._running[lane] < self._most_batch

    def _admit(self) -> None:
        for lane in _WAITING_LANES:
            while self._waiting[lane] and self._has_room(lane):
                self._running[lane] += 1
                self._waiting[lane].popleft().set_result(None)


def _up_to(lane: Lane) -> tuple[Lane, ...]:
    """Return the lanes that come before this one or are it."""
    return _WAITING_LANES[: _WAITING_LANES.index(lane) + 1]
