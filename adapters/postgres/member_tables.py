"""What members of templates did, kept in the process for some minutes: not every new profile reads a thousand people.

Nobody is named in it, and of a profile there is only what is compared. A withdrawn consent or a deletion counts when
the table is read anew.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from psycopg.errors import QueryCanceled
from sqlalchemy.exc import OperationalError

from adapters.postgres.engine import Busy
from domain.learned_defaults import Member

KEPT_SECONDS = 300.0
REST_SECONDS = 60.0
"""How long members are not read again after PostgreSQL could not do it in time: each try would hold up a write."""
WAIT_SECONDS = 2.0
"""Longest one request waits for another that reads the same members."""
MOST_KEPT = 50_000
"""Members in memory, of all tenants together."""

Key = tuple[str, str, int]
"""A tenant, a template and its version."""


class MembersNotRead(Busy):
    """Somebody else reads the members, or PostgreSQL could not a moment ago."""


@dataclass
class _Table:
    lock: threading.Lock = field(default_factory=threading.Lock)
    members: tuple[Member, ...] | None = None
    until: float = float("-inf")


class MemberTables:
    """Keeps members by template; safe to share between threads."""

    def __init__(self, *, most: int = MOST_KEPT, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Keep nothing yet.

        Args:
            most: members that are kept; the template asked for longest ago leaves first.
            monotonic: the clock.
        """
        self._most = most
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._tables: OrderedDict[Key, _Table] = OrderedDict()

    def of(self, key: Key, read: Callable[[], Sequence[Member]]) -> tuple[Member, ...]:
        """Return the members of a template, read at most ``KEPT_SECONDS`` ago by one request for all.

        Args:
            key: whose members.
            read: reads them; called where they are not kept.

        Raises:
            MembersNotRead: another request reads them for too long, or they could not be read a moment ago.
        """
        table = self._table(key)
        if not table.lock.acquire(timeout=WAIT_SECONDS):
            raise MembersNotRead("another request reads the members")
        try:
            if self._monotonic() >= table.until:
                self._fill(table, read)
            if table.members is None:
                raise MembersNotRead("the members could not be read a moment ago")
            return table.members
        finally:
            table.lock.release()

    def _table(self, key: Key) -> _Table:
        with self._lock:
            # Who was erased is in no table that nobody asks for any more, either.
            now = self._monotonic()
            for old in [each for each, table in self._tables.items() if table.until <= now]:
                if old != key and not self._tables[old].lock.locked():
                    del self._tables[old]
            table = self._tables.setdefault(key, _Table())
            self._tables.move_to_end(key)
        return table

    def _fill(self, table: _Table, read: Callable[[], Sequence[Member]]) -> None:
        try:
            table.members = tuple(read())
        except OperationalError as error:
            if isinstance(error.orig, QueryCanceled):
                table.members, table.until = None, self._monotonic() + REST_SECONDS
            raise
        table.until = self._monotonic() + KEPT_SECONDS
        with self._lock:
            while (
                len(self._tables) > 1
                and sum(len(each.members or ()) + 1 for each in self._tables.values()) > self._most
            ):
                self._tables.popitem(last=False)
