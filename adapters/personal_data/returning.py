"""What comes back after an erasure: late events, and rows an asset had read before and wrote afterwards."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import structlog
from sqlalchemy import text

from adapters.lake import Lake
from adapters.personal_data import parquet_rows
from adapters.personal_data.online_place import OnlineFeatures
from adapters.personal_data.places import Person
from adapters.postgres import erasures
from adapters.postgres.engine import Database
from adapters.postgres.erasures import Erasures
from domain.identity import subject_key
from domain.tenants import Tenant

WATCHED = timedelta(hours=1)
"""How long the online features of somebody who came back are deleted again: a run may be about to write them."""

_log = structlog.get_logger(__name__)


def ask_again(database: Database, tenant: Tenant, *, since: datetime, now: datetime) -> list[str]:
    """Ask for the erasure of those erased before of whom events were received since; returns the requests' ids."""
    with database.tenant(tenant.tenant) as connection:
        erased = erasures.unseen(connection, place="event")
        found = list(connection.execute(_LATE, {"since": since}).scalars()) if erased else []
    back = sorted(each for each in found if subject_key(tenant.subject_secret, each) in erased)
    asked = Erasures(database)
    return [asked.request(tenant, each, actor="eraser", now=now).erasure_id for each in back]


class Sweep:
    """Looks at every file of the lake once, and again when it was written anew, for people who were erased."""

    def __init__(self, database: Database, lake: Lake, online: OnlineFeatures) -> None:
        self._database = database
        self._lake = lake
        self._online = online
        self._seen: dict[Path, tuple[int, int]] = {}
        self._erased: dict[str, frozenset[str]] = {}
        self._watched: dict[tuple[str, str], datetime] = {}

    def watch(self, tenant: str, recipient_id: str, *, now: datetime) -> None:
        """Delete the online features of somebody again and again for a while."""
        self._watched[tenant, recipient_id] = now

    def run(self, tenants: Mapping[str, Tenant], *, now: datetime) -> int:
        """Take the rows of erased people out of what is new; returns how many there were.

        Raises:
            Unavailable, OnlineUnavailable: a store is away; call again.
        """
        erased = {name: self._unseen(tenant) for name, tenant in tenants.items()}
        if erased != self._erased:
            self._seen.clear()
        files = self._lake.files() if any(erased.values()) else ()
        count = sum(self._look_at(path, tenants, erased, now) for path in files)
        self._erased = erased
        for (name, recipient_id), since in list(self._watched.items()):
            self._online.forget(name, recipient_id)
            if now - since > WATCHED:
                del self._watched[name, recipient_id]
        return count

    def _unseen(self, tenant: Tenant) -> frozenset[str]:
        with self._database.tenant(tenant.tenant) as connection:
            return frozenset(erasures.unseen(connection, place="lake"))

    def _look_at(
        self, path: Path, tenants: Mapping[str, Tenant], erased: Mapping[str, frozenset[str]], now: datetime
    ) -> int:
        try:
            stat = path.stat()
            if self._seen.get(path) == (stat.st_mtime_ns, stat.st_ino):
                return 0
            named = list(parquet_rows.people(path))
        except FileNotFoundError:
            # Another writer took it away meanwhile.
            return 0
        except pa.ArrowInvalid:
            _log.error("lake.damaged", file=path.name, table=path.relative_to(self._lake.root).parts[0])
            return 0
        count = 0
        for name, column, value in named:
            tenant = tenants.get(name)
            if tenant is None or not erased[name]:
                continue
            key = subject_key(tenant.subject_secret, value) if column == parquet_rows.RECIPIENT else value
            if key in erased[name]:
                count += self._take_out(
                    path, Person(tenant, value if column == parquet_rows.RECIPIENT else "", ""), key
                )
                if column == parquet_rows.RECIPIENT:
                    self.watch(name, value, now=now)
        stat = path.stat()
        self._seen[path] = (stat.st_mtime_ns, stat.st_ino)
        return count

    def _take_out(self, path: Path, person: Person, key: str) -> int:
        kept, count = parquet_rows.without(path, person, key=key)
        if kept is not None:
            self._lake.rewrite(path, kept)
        return count


_LATE = text("""
SELECT DISTINCT e.recipient_id FROM event e JOIN profile p USING (tenant, recipient_id)
WHERE p.deleted_at IS NOT NULL AND e.received_at >= :since
""")
