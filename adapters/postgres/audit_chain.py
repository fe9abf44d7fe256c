"""The audit chain in PostgreSQL: rows that committed are linked in the order of their numbers, none is skipped.

Numbers are given before the commit, so a lower one may appear after a higher one. Every step therefore links whatever
has no link yet, above a mark; the mark moves only past numbers whose transactions have all ended. A full search,
which needs no mark, is made at the start and every hour, and finds what a mark should ever have passed.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, text

from adapters.postgres.audit_tables import audit_link
from adapters.postgres.engine import Database
from adapters.postgres.tables import audit
from domain.audit import Head, Link, digest, extended, genesis

BATCH = 5_000
PAGE = 2_000
MARK_SECONDS = 5.0
"""Age a mark must have: longer than a server takes from giving a number to knowing the transaction."""
SEARCH_SECONDS = 3_600.0
_COLUMNS = [column.name for column in audit.columns]


@dataclass(frozen=True)
class Unlinked:
    """Rows that have no link yet: how many, and the number and moment of the oldest, if any."""

    count: int
    oldest: tuple[tuple[int, datetime], ...]


@dataclass
class _Mark:
    """Numbers up to ``reached`` need no more searching once every transaction before ``horizon`` has ended."""

    reached: int
    horizon: int
    made_at: float


@dataclass
class _Progress:
    """How far a tenant's rows are known to be linked."""

    low: int = 0
    mark: _Mark | None = None
    searched_at: float = 0.0


class AuditChain:
    """Links and reads the chains of an installation; one links at a time, whoever it is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._progress: dict[str, _Progress] = {}

    def tenants(self) -> list[str]:
        """Return every tenant's name."""
        with self._database.begin() as connection:
            return list(connection.execute(text("SELECT kairos_tenant_names()")).scalars())

    def seal(self, tenant: str) -> int:
        """Link the rows that have committed, up to 5,000; writers never wait for it.

        Returns:
            How many were linked; 0 too while another process links.
        """
        progress = self._searching(tenant)
        with self._database.tenant(tenant) as connection:
            if not connection.execute(_ALONE, {"tenant": tenant}).scalar_one():
                return 0
            # Before the rows are read: whoever has ended by now is seen by the statements that follow.
            oldest = connection.execute(_OLDEST).scalar_one()
            rows = connection.execute(_UNLINKED, {"low": progress.low, "limit": BATCH}).all()
            _append(connection, tenant, _head(connection, tenant), rows)
            top = connection.execute(_TOP).one()
        if len(rows) < BATCH:
            _advance(progress, oldest, top)
        return len(rows)

    def head(self, tenant: str) -> Head:
        """Return the end of a tenant's chain."""
        with self._database.tenant(tenant) as connection:
            return _head(connection, tenant)

    def links(self, tenant: str, *, after: int = 0) -> Iterator[Link]:
        """Yield the links after a place, in order, each with its row; few are in memory at a time."""
        while True:
            with self._database.tenant(tenant) as connection:
                rows = connection.execute(_LINKS, {"after": after, "limit": PAGE}).all()
            for row in rows:
                yield _link(row)
            if len(rows) < PAGE:
                return
            after = rows[-1].sequence

    def unlinked(self, tenant: str) -> Unlinked:
        """Return what has no link yet, wherever in the trail it stands."""
        with self._database.tenant(tenant) as connection:
            count = connection.execute(_COUNT_UNLINKED).scalar_one()
            oldest = connection.execute(_OLDEST_UNLINKED).all() if count else []
        return Unlinked(count, tuple((row.audit_id, row.recorded_at) for row in oldest))

    def _searching(self, tenant: str) -> _Progress:
        progress = self._progress.setdefault(tenant, _Progress(searched_at=time.monotonic()))
        if time.monotonic() - progress.searched_at > SEARCH_SECONDS:
            progress = self._progress[tenant] = _Progress(searched_at=time.monotonic())
        return progress


def _append(connection: Connection, tenant: str, head: Head, rows: Sequence[Row[Any]]) -> None:
    links = []
    for row in rows:
        head = extended(head, row_digest := digest(_content(row)))
        place = {"tenant": tenant, "sequence": head.size, "audit_id": row.audit_id}
        links.append(place | {"digest": row_digest, "link": head.link})
    if links:
        connection.execute(insert(audit_link), links)


def _advance(progress: _Progress, oldest: int, top: Row[Any]) -> None:
    mark, now = progress.mark, time.monotonic()
    if mark is not None and oldest >= mark.horizon and now - mark.made_at >= MARK_SECONDS:
        progress.low, mark = mark.reached, None
    if mark is None and top.reached > progress.low:
        mark = _Mark(reached=top.reached, horizon=top.newest, made_at=now)
    progress.mark = mark


def _head(connection: Connection, tenant: str) -> Head:
    row = connection.execute(_HEAD).one_or_none()
    return Head(row.sequence, bytes(row.link)) if row is not None else genesis(tenant)


def _link(row: Row[Any]) -> Link:
    content = _content(row) if row.tenant is not None else None
    return Link(row.sequence, row.linked_id, bytes(row.digest), bytes(row.link), content)


def _content(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


_ROW = ", ".join(f"a.{name}" for name in _COLUMNS)

_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('kairos.sealer/' || :tenant, 0))")

_OLDEST = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")

_UNLINKED = text(f"""
SELECT {_ROW} FROM audit a
WHERE a.audit_id > :low AND NOT EXISTS (SELECT FROM audit_link l WHERE l.tenant = a.tenant AND l.audit_id = a.audit_id)
ORDER BY a.audit_id LIMIT :limit
""")

_TOP = text("""
SELECT coalesce(max(audit_id), 0) AS reached, CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)
    AS newest FROM audit_link
""")
"""Whoever was given a number below the highest had it before that one committed, so its transaction is older."""

_HEAD = text("SELECT sequence, link FROM audit_link ORDER BY sequence DESC LIMIT 1")

_LINKS = text(f"""
SELECT l.sequence, l.audit_id AS linked_id, l.digest, l.link, {_ROW}
FROM audit_link l LEFT JOIN audit a ON a.tenant = l.tenant AND a.audit_id = l.audit_id
WHERE l.sequence > :after ORDER BY l.sequence LIMIT :limit
""")

_WITHOUT_LINK = """
FROM audit a WHERE NOT EXISTS (SELECT FROM audit_link l WHERE l.tenant = a.tenant AND l.audit_id = a.audit_id)
"""
_COUNT_UNLINKED = text(f"SELECT count(*) {_WITHOUT_LINK}")
_OLDEST_UNLINKED = text(f"SELECT a.audit_id, a.recorded_at {_WITHOUT_LINK} ORDER BY a.recorded_at LIMIT 1")
