"""The engagement stream: a bounded hand-over from relay to consumers that may be emptied at any time.

It holds references to outbox rows, never the only copy of anything. Whenever entries may have been lost, its epoch
changes, and the relay publishes everything unconsumed again; consumers therefore see some messages twice.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from adapters.redis import keys

_log = structlog.get_logger(__name__)

GROUP = "online-features"
MAX_LENGTH = 20_000
"""Entries the stream may hold; the relay waits for room instead of trimming what nobody has read."""
_ATTEMPTS_KEPT_SECONDS = 7 * 86_400


class StreamUnavailable(RuntimeError):
    """Redis does not answer, or refuses to work now; nothing is lost by waiting."""


@dataclass(frozen=True)
class Message:
    """A reference to one outbox row; ``entry_id`` is empty before it is published."""

    tenant: str
    outbox_id: int
    topic: str
    key: str
    occurred_at: datetime
    entry_id: str = ""


@dataclass(frozen=True)
class Claimed:
    """Messages another delivery left unfinished, and how many entries were gone from the stream."""

    messages: tuple[Message, ...]
    vanished: int


class EventStream:
    """The stream and its one consumer group."""

    def __init__(self, client: Redis, *, name: str = keys.ENGAGEMENT_STREAM, max_length: int = MAX_LENGTH) -> None:
        self._client: Any = client  # the library types every command as perhaps awaitable
        self._name = name
        self.max_length = max_length

    def epoch(self) -> str:
        """Return the id of the stream as it is now, making stream and group when missing.

        It differs from before when stream, group or id were missing, and when the server was restarted: a power
        cut may have cost it the last second.
        """
        with _answering():
            token = self._client.eval(_ENSURE, 2, self._name, keys.epoch(self._name), GROUP, secrets.token_hex(8))
            run = self._client.info("server").get("run_id", "")
        return f"{_text(token)}.{run}"

    def room(self) -> int:
        """Return how many entries may be appended now."""
        return max(0, self.max_length - self.length())

    def length(self) -> int:
        """Return how many entries are not acknowledged yet."""
        with _answering():
            return int(self._client.xlen(self._name))

    def append(self, messages: Sequence[Message]) -> None:
        """Append messages in order."""
        with _answering(), self._client.pipeline(transaction=False) as pipe:
            for message in messages:
                pipe.xadd(self._name, _fields(message))
            pipe.execute()

    def read(self, consumer: str, *, count: int, block_ms: int) -> list[Message]:
        """Return messages nobody was given before, waiting a moment when there are none.

        Raises:
            StreamUnavailable: also when the group is gone; ``epoch`` makes it anew.
        """
        with _answering():
            streams = self._client.xreadgroup(GROUP, consumer, {self._name: ">"}, count=count, block=block_ms)
        return self._messages([pair for _, entries in streams or () for pair in entries])

    def claim(self, consumer: str, *, idle_ms: int, count: int) -> Claimed:
        """Take over messages that were given to some consumer and not acknowledged for a while."""
        with _answering():
            _, entries, *rest = self._client.xautoclaim(self._name, GROUP, consumer, min_idle_time=idle_ms, count=count)
        messages = self._messages([(entry, fields) for entry, fields in entries if fields])
        return Claimed(tuple(messages), vanished=len(rest[0]) if rest else 0)

    def _messages(self, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Message]:
        """Parse entries; what no relay of ours wrote refers to no outbox row and is removed."""
        parsed = [(entry, _message(entry, fields)) for entry, fields in entries]
        foreign = [entry for entry, message in parsed if message is None]
        if foreign:
            _log.warning("stream.foreign_entries_removed", count=len(foreign))
            with _answering(), self._client.pipeline(transaction=True) as pipe:
                pipe.xack(self._name, GROUP, *foreign)
                pipe.xdel(self._name, *foreign)
                pipe.execute()
        return [message for _, message in parsed if message is not None]

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Mark messages as done for good and remove them from the stream."""
        entries = [message.entry_id for message in messages]
        if not entries:
            return
        with _answering(), self._client.pipeline(transaction=True) as pipe:
            pipe.xack(self._name, GROUP, *entries)
            pipe.xdel(self._name, *entries)
            pipe.hdel(keys.attempts(self._name), *map(_identity, messages))
            pipe.execute()

    def attempts(self, messages: Sequence[Message]) -> list[int]:
        """Return how often each message was tried on its own, in the order given."""
        if not messages:
            return []
        with _answering():
            counts = self._client.hmget(keys.attempts(self._name), list(map(_identity, messages)))
        return [int(count or 0) for count in counts]

    def count_attempt(self, messages: Sequence[Message], by: int = 1) -> None:
        """Add to the attempts of messages: before trying, so that a try which kills the process counts."""
        if not messages:
            return
        with _answering(), self._client.pipeline(transaction=True) as pipe:
            for message in messages:
                pipe.hincrby(keys.attempts(self._name), _identity(message), by)
            pipe.expire(keys.attempts(self._name), _ATTEMPTS_KEPT_SECONDS)
            pipe.execute()

    def rebuilt_for(self, tenant: str) -> str | None:
        """Return the epoch for which a tenant's online features were last rebuilt."""
        with _answering():
            epoch = self._client.hget(keys.rebuilt(self._name), tenant)
        return None if epoch is None else _text(epoch)

    def mark_rebuilt(self, tenant: str, epoch: str) -> None:
        """Remember that the rebuild of a tenant's online features is queued."""
        with _answering():
            self._client.hset(keys.rebuilt(self._name), tenant, epoch)


_ENSURE = """
local found = false
local ok, groups = pcall(redis.call, 'XINFO', 'GROUPS', KEYS[1])
if ok then
  for _, group in ipairs(groups) do
    if group[2] == ARGV[1] then found = true end
  end
end
local token = redis.call('GET', KEYS[2])
if found and token then return token end
if not found then redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM') end
redis.call('SET', KEYS[2], ARGV[2])
return ARGV[2]
"""
"""Returns the stream's id, renewed when anything was missing. The group starts at 0: at $ it would skip what waits."""


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        raise StreamUnavailable(f"Redis refused: {error}") from error
    except RedisError as error:
        raise StreamUnavailable(f"Redis does not answer: {error}") from error


def _fields(message: Message) -> dict[Any, Any]:
    return {
        "tenant": message.tenant,
        "outbox_id": message.outbox_id,
        "topic": message.topic,
        "key": message.key,
        "occurred_at": message.occurred_at.isoformat(),
    }


def _message(entry: bytes, fields: dict[bytes, bytes]) -> Message | None:
    try:
        return Message(
            tenant=fields[b"tenant"].decode(),
            outbox_id=int(fields[b"outbox_id"]),
            topic=fields[b"topic"].decode(),
            key=fields[b"key"].decode(),
            occurred_at=datetime.fromisoformat(fields[b"occurred_at"].decode()),
            entry_id=_text(entry),
        )
    except (KeyError, ValueError):
        return None


def _identity(message: Message) -> str:
    return f"{message.tenant}:{message.outbox_id}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
