"""What relay and consumer have in common: a loop that works, waits out failures and ends cleanly on a signal.

A store that is away is waited for, with growing pauses; anything unexpected ends the process with its place logged.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from os import getpid
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from adapters import heartbeat
from adapters.feature_store import FeatureStoreUnavailable
from adapters.heartbeat import Doing, Heartbeat
from adapters.personal_data.online_place import OnlineUnavailable
from adapters.postgres.engine import Unavailable
from adapters.redis.streams import StreamUnavailable

AWAY = (Unavailable, StreamUnavailable, FeatureStoreUnavailable, OnlineUnavailable)
"""A store is away: waiting helps, and nothing is lost by it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_BEAT_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Numbers:
    """What a worker has to say about itself: counts since its start, and how things stand now."""

    counts: Mapping[str, float]
    gauges: Mapping[str, float]


LAG = "lag_seconds"
"""The gauge that is also the heartbeat's lag."""


class Worker(Collector):
    """Repeats a step until it is told to stop, and tells how it is."""

    def __init__(self, name: str, step: Callable[[], float], *, observe: Callable[[], Numbers], data_dir: Path) -> None:
        """Do nothing yet.

        Args:
            name: such as ``relay``; the prefix of log events, metrics and of the heartbeat's file.
            step: does some work and returns how many seconds to wait before the next.
            observe: asked about once a second; its counts become ``kairos_<name>_<count>_total``.
            data_dir: where the heartbeat goes.
        """
        self.name = name
        self._step = step
        self._observe = observe
        self._numbers = Numbers({}, {})
        self._metrics = CollectorRegistry()
        self._metrics.register(self)
        self._data_dir = data_dir
        self._stopping = threading.Event()
        self._problem: str | None = None
        self._is_ready = False
        self._beat_at = 0.0

    def run_until_signalled(self) -> None:
        """Work until SIGTERM or SIGINT; the step under way is finished."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        self.run()

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped."""
        pause = _FIRST_PAUSE
        self._beat(Doing.WAITING)
        while not self._stopping.is_set():
            try:
                wait = self._step()
            except AWAY as error:
                self._waiting(str(error))
                self._stopping.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            self._working()
            self._rest(wait)
        self._problem = None
        self._beat(Doing.STOPPED)
        _log.info(f"{self.name}.stopped", **self._numbers.counts)

    def collect(self) -> Iterator[Metric]:
        """Yield the last numbers as Prometheus metrics."""
        for name, value in self._numbers.counts.items():
            yield CounterMetricFamily(f"kairos_{self.name}_{name}", f"{name} by the {self.name} since its start", value)
        for name, value in self._numbers.gauges.items():
            yield GaugeMetricFamily(f"kairos_{self.name}_{name}", f"{name} of the {self.name} now", value)

    def _rest(self, seconds: float) -> None:
        """Wait for the next step, and go on telling that we live: one that rests a minute is not one that hangs."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0 and not self._stopping.wait(min(left, _BEAT_SECONDS)):
            self._beat_now_and_then(Doing.WORKING, is_news=False)

    def _working(self) -> None:
        if not self._is_ready:
            self._is_ready = is_news = True
            _log.info(f"{self.name}.ready", pid=getpid())
        elif is_news := self._problem is not None:
            _log.info(f"{self.name}.resumed")
        self._problem = None
        self._beat_now_and_then(Doing.WORKING, is_news=is_news)

    def _waiting(self, problem: str) -> None:
        is_news = problem != self._problem
        if is_news:
            _log.warning(f"{self.name}.waiting", problem=problem)
        self._problem = problem
        self._beat_now_and_then(Doing.WAITING, is_news=is_news)

    def _beat_now_and_then(self, doing: Doing, *, is_news: bool) -> None:
        if is_news or time.monotonic() - self._beat_at >= _BEAT_SECONDS:
            self._beat(doing)

    def _beat(self, doing: Doing) -> None:
        self._beat_at = time.monotonic()
        with contextlib.suppress(*AWAY):
            self._numbers = self._observe()
        beat = Heartbeat(
            name=self.name,
            pid=getpid(),
            at=datetime.now(UTC),
            doing=doing,
            problem=self._problem,
            lag_seconds=self._numbers.gauges.get(LAG),
            numbers={**self._numbers.counts, **self._numbers.gauges},
        )
        heartbeat.write(self._data_dir, beat, self._metrics)
