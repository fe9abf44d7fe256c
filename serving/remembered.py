"""Callers as they were last found, for the few routes that answer while the store of keys is away.

A key that was revoked meanwhile would pass until the store is back, or ``KEPT_SECONDS`` after it was last found; what
it reaches then is one decision that needs no store. Only digests of credentials are kept, under a key of this process.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

from adapters.postgres import patience
from adapters.postgres.engine import Unavailable
from serving.breakers import Breaker, Open
from serving.metrics import REMEMBERED

KEPT_SECONDS = 900.0
MOST_KEPT = 10_000


class Remembered:
    """Finds callers, and remembers them for when they cannot be found."""

    def __init__(self, store: Breaker, *, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Remember nobody yet.

        Args:
            store: the breaker of PostgreSQL on the way of a decision.
            seconds: how long PostgreSQL may take for one answer.
            monotonic: the clock.
        """
        self._store = store
        self._seconds = seconds
        self._monotonic = monotonic
        self._salt = secrets.token_bytes(32)
        self._lock = Lock()
        self._known: OrderedDict[bytes, tuple[float, Any]] = OrderedDict()

    def find(self, credential: str, find: Callable[[], Any]) -> Any:
        """Return the caller that ``find`` finds, or who it was when it last could.

        Raises:
            Unavailable: nobody can be asked, and this credential was not seen lately.
            Exception: what ``find`` raises; the credential is forgotten with it.
        """
        digest = hmac.new(self._salt, credential.encode(), hashlib.sha256).digest()
        try:
            with (
                self._store.calling(),
                patience.no_longer_than(lambda: self._seconds),
                patience.giving_up_when(lambda: self._store.is_lost),
            ):
                caller = find()
        except (Unavailable, Open):
            return self._recalled(digest)
        except BaseException:
            with self._lock:
                self._known.pop(digest, None)
            raise
        with self._lock:
            self._known[digest] = (self._monotonic(), caller)
            self._known.move_to_end(digest)
            if len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        return caller

    def _recalled(self, digest: bytes) -> Any:
        with self._lock:
            seen, caller = self._known.get(digest, (float("-inf"), None))
        if self._monotonic() - seen > KEPT_SECONDS:
            raise Unavailable("PostgreSQL is away, and this credential was not seen lately")
        REMEMBERED.inc()
        return caller
