"""The one place a Redis client is made: with explicit timeouts and without the library's hidden retries.

redis-py waits for ever on a stopped server and tries a closed port for seconds; a decision has milliseconds.
"""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

BACKGROUND_TIMEOUT_MS = 5_000
"""What relay, consumer and assets allow one command; a decision allows ``KAIROS_REDIS_TIMEOUT_MS``."""


def connect(url: str, *, timeout_ms: int) -> Redis:
    """Return a client for a server; nothing is sent before its first command.

    Args:
        url: ``redis://`` or ``rediss://`` with user, password and database.
        timeout_ms: longest wait for a connection, and again for each answer.
    """
    seconds = timeout_ms / 1000
    return Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
    )
