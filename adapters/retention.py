"""What is older than its period, in every store: counted in a dry run, else deleted; doing it again is harmless."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.clock import Clock
from adapters.lake import Lake
from adapters.personal_data import parquet_rows
from adapters.postgres.retention import TABLES, Retention
from adapters.postgres.tenants import Tenants
from adapters.settings import Settings
from domain.identity import subject_key
from domain.retention import OF_A_PERSON, Retained
from domain.tenants import Tenant

_MOMENTS = ("occurred_at", "decided_at", "as_of")
"""Columns that tell the age of a row of the lake, where its folder does not tell the day."""


def periods_of(settings: Settings) -> dict[Retained, int]:
    """Return the installation's periods, in days."""
    return {
        Retained.EVENTS: settings.event_retention_days,
        Retained.DECISIONS: settings.decision_retention_days,
        Retained.DEAD_LETTERS: settings.dead_letter_retention_days,
        Retained.JOBS: settings.job_retention_days,
    }


@dataclass
class Forgotten:
    """Rows that were too old, by table or by file's table; ``is_dry`` when they are still there."""

    is_dry: bool
    rows: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, count: int) -> None:
        """Count some more."""
        self.rows[name] = self.rows.get(name, 0) + count


@dataclass(frozen=True)
class _Cut:
    """Rows of a person, or of everybody but those held, older than a moment."""

    tenant: str
    before: datetime
    whose: str | None = None
    spared: frozenset[str] = frozenset()


class Forgetter:
    """Applies every period of every tenant and recipient."""

    def __init__(self, retention: Retention, tenants: Tenants, clock: Clock, lake: Lake) -> None:
        self._retention = retention
        self._tenants = tenants
        self._clock = clock
        self._lake = lake

    def rows(self, what: Retained, *, is_dry: bool) -> Forgotten:
        """Forget rows of PostgreSQL, or count them."""
        found = Forgotten(is_dry)
        for tenant in self._tenants.all():
            for aged in TABLES[what]:
                # What happened is dated by the tenant's clock, what we recorded by the wall's.
                now = self._clock.now(tenant) if aged.moment == "occurred_at" else self._clock.real()
                general, *shorter = self._periods(tenant, what, aged.person)
                after = now - timedelta(days=general[0])
                for days, whose in (general, *shorter):
                    before = now - timedelta(days=days)
                    if is_dry:
                        # What the general period takes of a person was counted with it.
                        twice = self._retention.old(tenant, aged, before=after, whose=whose) if whose else 0
                        found.add(aged.table, self._retention.old(tenant, aged, before=before, whose=whose) - twice)
                    else:
                        found.add(aged.table, self._retention.forget(tenant, aged, before=before, whose=whose))
        return found

    def files(self, *, is_dry: bool) -> Forgotten:
        """Forget rows of the lake, and days that have none left, or count the rows."""
        found = Forgotten(is_dry)
        cuts = [cut for tenant in self._tenants.all() for cut in self._cuts(tenant)]
        for path in self._lake.files():
            parts = path.relative_to(self._lake.root).parts
            table = parts[1] if parts[0] == "quarantine" else parts[0]
            count = self._file(path, cuts, is_dry=is_dry)
            if count:
                found.add(table, count)
        return found

    def _periods(self, tenant: Tenant, what: Retained, person: str | None) -> list[tuple[int, str | None]]:
        general = self._retention.periods(tenant)[what]
        own = self._retention.recipients(tenant) if what in OF_A_PERSON and person is not None else {}
        shorter = [
            (days, each if person == "recipient_id" else subject_key(tenant.subject_secret, each))
            for each, days in sorted(own.items())
            if days < general
        ]
        return [(general, None), *shorter]

    def _cuts(self, tenant: Tenant) -> list[_Cut]:
        now, spared = self._clock.now(tenant), self._retention.held(tenant, "lake")
        return [
            _Cut(tenant.tenant, now - timedelta(days=days), whose, spared)
            for days, whose in self._periods(tenant, Retained.EVENTS, "recipient_id")
        ]

    def _file(self, path: Path, cuts: Sequence[_Cut], *, is_dry: bool) -> int:
        day = next((part[5:] for part in path.parts if part.startswith("date=")), None)
        aged = [cut for cut in cuts if day is None or date.fromisoformat(day) < cut.before.date()]
        if not aged:
            return 0
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            moment = next((name for name in _MOMENTS if name in names), None)
            if parquet_rows.TENANT not in names or (day is None and moment is None):
                return 0
            rows = file.read()
        old = _old(rows, aged, moment if day is None else None, self._secrets(aged))
        count = int(pc.sum(old).as_py() or 0)
        if count and not is_dry:
            kept = rows.filter(pc.invert(old))
            if kept.num_rows or day is None:
                self._lake.rewrite(path, kept)
            else:
                path.unlink()
        return count

    def _secrets(self, cuts: Sequence[_Cut]) -> dict[str, bytes]:
        wanted = {cut.tenant for cut in cuts if cut.spared}
        return {tenant.tenant: tenant.subject_secret for tenant in self._tenants.all() if tenant.tenant in wanted}


def _old(rows: pa.Table, cuts: Sequence[_Cut], moment: str | None, secrets: dict[str, bytes]) -> pa.ChunkedArray:
    old = pa.chunked_array([pa.repeat(pa.scalar(value=False), rows.num_rows)])
    for cut in cuts:
        theirs = pc.equal(rows[parquet_rows.TENANT], cut.tenant)
        if cut.whose is not None:
            if parquet_rows.RECIPIENT not in rows.column_names:
                continue
            theirs = pc.and_kleene(theirs, pc.equal(rows[parquet_rows.RECIPIENT], cut.whose))
        if moment is not None:
            theirs = pc.and_kleene(theirs, pc.less(rows[moment], pa.scalar(cut.before, rows.schema.field(moment).type)))
        if cut.spared and parquet_rows.RECIPIENT in rows.column_names:
            names = pc.unique(rows[parquet_rows.RECIPIENT].filter(pc.fill_null(theirs, pa.scalar(value=False))))
            held = [each for each in names.to_pylist() if subject_key(secrets[cut.tenant], each) in cut.spared]
            spared = pc.is_in(rows[parquet_rows.RECIPIENT], pa.array(held, pa.string()))
            theirs = pc.and_kleene(theirs, pc.invert(spared))
        old = pc.or_(old, pc.fill_null(theirs, pa.scalar(value=False)))
    return old
