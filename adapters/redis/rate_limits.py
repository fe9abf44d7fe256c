"""Rate limits on Redis: how often a key, a tenant and a route may be used in a minute, over all workers.

A sliding window from two counters; nothing names a person. Whether a request is done while the counters are away is
for the caller of ``check`` to say.
"""

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from math import ceil

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis
from redis.exceptions import RedisError

from adapters.settings import Settings
from domain.values import Frozen

AWAY_SECONDS = 1.0
"""How long nobody asks a server that did not answer: a decision must not wait for it once per request."""
_PREFIX = "kairos:rate"


class Level(StrEnum):
    """What a limit is about."""

    KEY = "key"
    ROUTE = "route"
    TENANT = "tenant"


class TooMany(Frozen):
    """Which limit is reached, and the seconds until a request may pass again."""

    level: Level
    retry_after: int


class CountersAway(RuntimeError):
    """Nobody knows how often something was used."""


class RateLimits:
    """Counts requests and says when there are too many; 0 stands for no limit."""

    def __init__(
        self,
        client: Redis,
        per_minute: Mapping[Level, int],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        is_away: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare to count.

        Args:
            client: of the server that counts.
            per_minute: the limits; 0 is none.
            monotonic: the clock.
            is_away: says, without waiting, that the server is known to be away.
        """
        # The storage takes our pool, with its timeouts and without retries; the address is only to be parsed.
        storage = RedisStorage("redis://", connection_pool=client.connection_pool, key_prefix=_PREFIX)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._items = {level: RateLimitItemPerMinute(most) for level, most in per_minute.items() if most}
        self._monotonic = monotonic
        self._is_away = is_away
        self._away_until = float("-inf")

    @classmethod
    def of(cls, settings: Settings, client: Redis, *, is_away: Callable[[], bool] = lambda: False) -> "RateLimits":
        """Return the limits the settings name; nothing is sent before the first check."""
        return cls(
            client,
            {
                Level.KEY: settings.rate_limit_key_per_minute,
                Level.ROUTE: settings.rate_limit_route_per_minute,
                Level.TENANT: settings.rate_limit_tenant_per_minute,
            },
            is_away=is_away,
        )

    def check(self, tenant: str, principal: str, route: str) -> TooMany | None:
        """Count one request, and return the first limit it does not pass.

        Raises:
            CountersAway: the server did not answer; it is not asked again for a second.
        """
        if self._is_away() or self._monotonic() < self._away_until:
            raise CountersAway("the counters are away")
        named = {
            Level.KEY: (tenant, principal),
            Level.ROUTE: (tenant, principal, route),
            Level.TENANT: (tenant,),
        }
        try:
            for level, item in self._items.items():
                if not self._limiter.hit(item, level.value, *named[level]):
                    seconds = self._limiter.get_window_stats(item, level.value, *named[level]).reset_time - time.time()
                    return TooMany(level=level, retry_after=min(max(1, ceil(seconds)), item.get_expiry()))
        except RedisError:
            self._away_until = self._monotonic() + AWAY_SECONDS
            raise CountersAway("the counters did not answer") from None
        return None
