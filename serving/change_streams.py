"""Streams of changes: many listeners, one thread that asks for all of them, and no connection held for any.

A listener is asked for only while it has nothing left to send, so a slow one costs no memory; it goes on where it
stood. Every stream ends by itself after a while, so that the listener is checked again when it comes back.
"""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from types import TracebackType
from typing import Self

import structlog

from adapters.postgres.changes import ChangeFeed, News, Wanted
from adapters.postgres.engine import Unavailable
from domain.changes import ChangeKind
from serving import metrics

EVERY_SECONDS = 0.2
HEARTBEAT_SECONDS = 15.0
RETRY_MS = 1_000
"""How long a listener waits before it comes back, unless it knows better."""
MOST_CHANGES = 100
"""Changes one listener is handed at a time."""
_ASK_SECONDS = 2.0
log = structlog.get_logger("kairos.changes")


class TooManyStreams(RuntimeError):
    """This worker keeps as many streams open as it may, or is about to end."""


class Listener:
    """One open stream; made and awaited in the event loop, fed from the thread."""

    def __init__(self, tenant: str, recipient_id: str, kinds: Collection[ChangeKind], after: int | None) -> None:
        self.tenant = tenant
        self.wanted = Wanted(recipient_id, after)
        self.is_hungry = True
        self._kinds = frozenset(kinds)
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[News | None] = asyncio.Queue()

    def hand(self, news: News | None) -> None:
        """Give it something to send, None to end it; from any thread."""
        if news is not None:
            self.wanted = Wanted(self.wanted.recipient_id, news.after)
        try:
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, news)
        except RuntimeError:
            # The loop ended while we were asking, and the stream with it.
            log.debug("changes.listener_gone")

    async def next(self, seconds: float) -> News | None:
        """Return what is to be sent now, None when the stream is to end.

        Raises:
            TimeoutError: nothing came in time.
        """
        self.is_hungry = True
        return await asyncio.wait_for(self._waiting.get(), seconds)

    def text(self, news: News) -> str:
        """Return what is sent: those changes this listener may be told of, or from where on it listens."""
        if news.changes:
            told = [change for change in news.changes if change.kind in self._kinds]
            return "".join(_event(change.kind.value, change.change_id, change.model_dump_json()) for change in told)
        return _event("reset" if news.is_reset else "ready", news.after, "{}")


def _event(name: str, number: int, data: str) -> str:
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n"


class ChangeStreams:
    """The open streams of one worker, served while the ``with`` block runs."""

    def __init__(
        self, feed: ChangeFeed, *, most: int, lifetime_seconds: float, every_seconds: float = EVERY_SECONDS
    ) -> None:
        """Open nothing yet.

        Args:
            feed: where changes are listed.
            most: how many streams may be open.
            lifetime_seconds: how long one may live.
            every_seconds: time between two questions.
        """
        self.lifetime_seconds = lifetime_seconds
        self._feed = feed
        self._most = most
        self._every_seconds = every_seconds
        self._open: set[Listener] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._thread.join()

    def end(self) -> None:
        """End every stream and take no new one; does not wait."""
        self._ended.set()
        for listener in self._listeners():
            listener.hand(None)

    def open(self, tenant: str, recipient_id: str, kinds: Collection[ChangeKind], after: int | None) -> Listener:
        """Return a new listener, to be handed to ``events``.

        Raises:
            TooManyStreams: there is no room.
        """
        listener = Listener(tenant, recipient_id, kinds, after)
        with self._lock:
            if self._ended.is_set() or len(self._open) >= self._most:
                raise TooManyStreams(f"{len(self._open)} streams are open")
            self._open.add(listener)
            metrics.CHANGE_STREAMS.inc()
        return listener

    def close(self, listener: Listener) -> None:
        """Forget a listener; doing it twice does no harm."""
        with self._lock:
            if listener in self._open:
                self._open.remove(listener)
                metrics.CHANGE_STREAMS.dec()

    async def events(self, listener: Listener) -> AsyncIterator[str]:
        """Yield the text of a stream of server-sent events until its time is up or everything ends."""
        ends_at = time.monotonic() + self.lifetime_seconds
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while (left := ends_at - time.monotonic()) > 0:
                try:
                    news = await listener.next(min(HEARTBEAT_SECONDS, left))
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if news is None:
                    return
                yield listener.text(news)
        finally:
            self.close(listener)

    def _listeners(self) -> list[Listener]:
        with self._lock:
            return list(self._open)

    def ask(self) -> None:
        """Ask once for every listener that has nothing to send.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        by_tenant: dict[str, list[Listener]] = defaultdict(list)
        for listener in self._listeners():
            if listener.is_hungry:
                by_tenant[listener.tenant].append(listener)
        for tenant, listeners in by_tenant.items():
            found = self._feed.news(tenant, [each.wanted for each in listeners], limit=MOST_CHANGES)
            for listener, news in zip(listeners, found, strict=True):
                self._pass_on(listener, news)

    def _pass_on(self, listener: Listener, news: News) -> None:
        is_start = listener.wanted.after is None
        if news.changes or news.is_reset or is_start:
            listener.is_hungry = False
            listener.hand(news)
            metrics.CHANGES_TOLD.inc(len(news.changes))

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.ask()
            except Unavailable:
                log.warning("changes.unread")
                self._ended.wait(_ASK_SECONDS)
            self._ended.wait(self._every_seconds)
