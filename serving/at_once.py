"""How many requests of one tenant wait for somebody outside at a time, so that they hold few of everybody's places."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST_OF_A_TENANT = 2
"""Of the sixteen places of a worker; who is third is told so at once and waits for nobody."""


class TooManyAtOnce(RuntimeError):
    """As many requests of the tenant as may are waiting for somebody outside already."""


class AtOnce:
    """Counts, for one thing that is outside, the requests of each tenant that wait for it."""

    def __init__(self, most: int = MOST_OF_A_TENANT) -> None:
        """Begin with nobody waiting.

        Args:
            most: requests of one tenant at a time.
        """
        self._most = most
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """Wait for somebody outside inside the block.

        Raises:
            TooManyAtOnce: the tenant has as many that wait as it may.
        """
        with self._lock:
            if self._waiting[tenant] >= self._most:
                raise TooManyAtOnce(f"{self._most} requests of this tenant are waiting for it already")
            self._waiting[tenant] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[tenant] -= 1
                if not self._waiting[tenant]:
                    del self._waiting[tenant]
