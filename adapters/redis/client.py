"""The one place a Redis client is made: with explicit timeouts and without the library's hidden retries.

redis-py waits for ever on a stopped server and tries a closed port for seconds; a decision has milliseconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


@contextmanager
def pipeline(client: Redis, *, seconds: float | None = None) -> Iterator[Any]:
    """Open a pipeline whose answer is waited for no longer than ``seconds``, or than the client's own limit.

    A connection that must be made first is made within the client's limit.
    """
    with client.pipeline(transaction=False) as pipe:
        if seconds is None:
            yield pipe
            return
        usual = client.connection_pool.connection_kwargs["socket_timeout"]
        # Given back to the pool at the end of the pipeline, with the limit it had.
        pipe.connection = connection = client.connection_pool.get_connection()
        connection.update_current_socket_timeout(min(usual, max(seconds, LEAST_SECONDS)))
        try:
            yield pipe
        finally:
            connection.update_current_socket_timeout(usual)


LEAST_SECONDS = 0.001
"""0 would stand for a socket that never waits, and fail whatever the server does."""
