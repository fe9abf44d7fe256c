"""Computes days of the feature table from checked days of events, a few days at a time.

A day's row of a recipient is what was known at the day's end. A row that may already have been served and is
computed again with other values is stamped with the moment of the correction, so that no decision before it can
learn from it; history that nobody was served keeps the stamp of its own moment.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from adapters.lake import Lake, Written
from assets.refusals import Refusal
from assets.steps import event_days, pictures
from domain.events import EventType
from feature_repo.engagement import at_read, catalog, transform

TABLE = "core_recipient_engagement_daily"
CREATED_AT = "created_at"
LOOKBACK = timedelta(days=catalog.LOOKBACK_DAYS)
DAYS_AT_ONCE = 10
"""Days computed by one query: ten cost about half of ten times one, more gain little and need more memory."""

Report = Callable[[str], object]
_DAY = timedelta(days=1)
_KEYS = list(catalog.KEYS)
_MOMENT = pd.DatetimeTZDtype("us", "UTC")
_DUCKDB: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class DaysMissing(Refusal):
    """Events exist for days the lake has not; features over them would look right and be wrong."""


@dataclass(frozen=True)
class Earlier:
    """A day as it was computed before: its rows, by which transform, and the tenants it could serve at once."""

    rows: pd.DataFrame
    transform: str
    served: frozenset[str]


def compute_days(
    lake: Lake, days: Sequence[date], *, event_days: Sequence[date], nows: Mapping[str, datetime], report: Report
) -> dict[date, Written]:
    """Replace these days of the feature table.

    Args:
        lake: holds the event table.
        days: UTC days; a day's rows hold features as of its end.
        event_days: every day that has events, to see that none is missing.
        nows: the tenants' clocks; a tenant has no rows as of a moment it has not reached.
        report: told how far it got.

    Raises:
        DaysMissing: a day within the longest window has events but is not in the lake.
        Quarantined: a day within the longest window broke its contract.
    """
    _require_history(lake, days, event_days)
    known = first_seen(lake, last=max(days))
    written: dict[date, Written] = {}
    for chunk in (days[start : start + DAYS_AT_ONCE] for start in range(0, len(days), DAYS_AT_ONCE)):
        rows = _features(lake, chunk, known, nows)
        for day, mine in _by_day(rows, chunk):
            written[day] = _write(lake, day, mine, nows)
        report(f"{TABLE}: {len(written)} of {len(days)} days, {sum(one.rows for one in written.values())} rows")
    return written


def first_seen(lake: Lake, *, last: date) -> pd.DataFrame:
    """Return every recipient of the event table up to a day: first event, and when they were deleted, if they were.

    Returns:
        Columns ``tenant``, ``recipient_id``, ``first_at``, ``deleted_at`` (missing unless deleted), UTC.
    """
    files = lake.paths(event_days.TABLE, last=last)
    if not files:
        return pd.DataFrame(columns=["tenant", "recipient_id", "first_at", "deleted_at"])
    with duckdb.connect(config=_DUCKDB) as connection:
        connection.read_parquet(list(files)).create_view("events")
        answer = connection.sql(_FIRST_SEEN, params=[EventType.RECIPIENT_DELETED.value]).to_arrow_table()
    found: pd.DataFrame = answer.to_pandas()
    for name in ("first_at", "deleted_at"):
        found[name] = pd.to_datetime(found[name], unit="us", utc=True).astype(_MOMENT)
    return found


# epoch_us reads the instant itself, where DuckDB would need its extension for time zones.
_FIRST_SEEN = """
SELECT tenant, recipient_id, epoch_us(min(occurred_at)) AS first_at,
       epoch_us(min(occurred_at) FILTER (type = ?)) AS deleted_at
FROM events GROUP BY ALL ORDER BY ALL
"""


def moments(known: pd.DataFrame, day: date, nows: Mapping[str, datetime]) -> pd.DataFrame:
    """Return whom a day has rows for: everyone seen before its end and not deleted, of tenants that have reached it."""
    end = datetime.combine(day + _DAY, time.min, UTC)
    reached = {tenant for tenant, now in nows.items() if now >= end}
    there = known[
        known["tenant"].isin(reached) & (known["first_at"] < end) & ~(known["deleted_at"] < end).fillna(value=False)
    ]
    as_of = pd.Series(end, index=there.index, dtype=_MOMENT)
    return there[["tenant", "recipient_id"]].assign(as_of=as_of)


def stamped(rows: pd.DataFrame, earlier: Earlier | None, *, version: str, nows: Mapping[str, datetime]) -> pd.DataFrame:
    """Add ``created_at``: since when a reader may know each row.

    Args:
        rows: one day's features.
        earlier: the same day as it was computed before.
        version: the transform that made ``rows``.
        nows: the tenants' clocks.
    """
    if earlier is None:
        return rows.assign(created_at=rows["as_of"])
    before = earlier.rows.set_index(_KEYS).reindex(pd.MultiIndex.from_frame(rows[_KEYS])).reset_index(drop=True)
    created = before[CREATED_AT].astype(_MOMENT).where(before[CREATED_AT].notna(), rows["as_of"])
    if earlier.transform == version:
        old, new = before[list(catalog.columns()[len(_KEYS) :])], rows[list(catalog.columns()[len(_KEYS) :])]
        changed = ~((old == new) | (old.isna() & new.isna())).all(axis=1)
        late = changed & rows["tenant"].isin(earlier.served)
        created = created.mask(late, rows["tenant"].map(nows).astype(_MOMENT))
    return rows.assign(created_at=created)


def activity(lake: Lake, day: date) -> bytes:
    """Return a picture of how many recipients were active within each window before a day's end."""
    names = {days: f"activity_count_{days}d" for days in catalog.WINDOWS_DAYS}
    table = lake.read(TABLE, day=day).select(list(names.values()))
    counts = {f"{days} d": float(pc.sum(pc.greater(table[name], 0)).as_py() or 0) for days, name in names.items()}
    title = f"Recipients active within the last days, as of the end of {day} (of {table.num_rows})"
    return pictures.bars(counts, title=title, unit="recipients")


@cache
def schema() -> pa.Schema:
    """Return the types of the feature table."""
    moment = pa.timestamp("us", tz="UTC")
    types = {
        feature.name: pa.type_for_alias(feature.dtype.value) for feature in catalog.stored() if not _is_moment(feature)
    }
    keys = {"tenant": pa.string(), "recipient_id": pa.string()}
    named = [*catalog.columns(), CREATED_AT]
    return pa.schema([(name, keys.get(name) or types.get(name, moment)) for name in named])


def _is_moment(feature: catalog.Feature) -> bool:
    return feature.dtype is catalog.Dtype.MOMENT


def transform_version() -> str:
    """Return the name of the computation that makes features: another one may change rows without late data."""
    return transform.version()


def _require_history(lake: Lake, days: Sequence[date], with_events: Sequence[date]) -> None:
    first, last = min(days) - LOOKBACK, max(days)
    lake.require_checked(event_days.TABLE, first=first, last=last)
    have = set(lake.days(event_days.TABLE, first=first, last=last))
    missing = [day for day in with_events if first <= day <= last and day not in have]
    if missing:
        raise DaysMissing(
            f"{event_days.TABLE} lacks {len(missing)} days with events, {min(missing)} to {max(missing)}; "
            f"materialize them first: kairos materialize --from {min(missing)} --to {max(missing)}"
        )


def _features(lake: Lake, days: Sequence[date], known: pd.DataFrame, nows: Mapping[str, datetime]) -> pd.DataFrame:
    asked = pd.concat([moments(known, day, nows) for day in days], ignore_index=True)
    files = lake.paths(event_days.TABLE, first=min(days) - LOOKBACK, last=max(days))
    if asked.empty or not files:
        nobody: pd.DataFrame = schema().empty_table().drop_columns([CREATED_AT]).to_pandas()
        return nobody
    return transform.from_events(transform.ParquetFiles(files), asked)


def _by_day(rows: pd.DataFrame, days: Sequence[date]) -> Iterator[tuple[date, pd.DataFrame]]:
    for day in days:
        yield day, rows[rows["as_of"] == pd.Timestamp(day + _DAY, tz="UTC")].reset_index(drop=True)


def _write(lake: Lake, day: date, rows: pd.DataFrame, nows: Mapping[str, datetime]) -> Written:
    version = transform_version()
    earlier = _earlier(lake, day)
    whole = stamped(rows, earlier, version=version, nows=nows)
    notes = {"transform": version, "served": json.dumps(sorted(_served(rows, earlier, nows)))}
    return lake.write(TABLE, pa.Table.from_pandas(whole, schema=schema(), preserve_index=False), day=day, notes=notes)


def _served(rows: pd.DataFrame, earlier: Earlier | None, nows: Mapping[str, datetime]) -> frozenset[str]:
    """Return the tenants whose decisions may have read this day's rows: first computed while they counted as known."""
    known = frozenset(earlier.rows["tenant"]) if earlier else frozenset[str]()
    as_of = dict(zip(rows["tenant"], rows["as_of"], strict=True))
    fresh = {name for name, moment in as_of.items() if name not in known and nows[name] - moment <= at_read.STALE_FOR}
    return frozenset(fresh) | (earlier.served if earlier else frozenset())


def _earlier(lake: Lake, day: date) -> Earlier | None:
    notes = lake.notes(TABLE, day=day)
    if "transform" not in notes:
        return None
    rows = lake.read(TABLE, day=day).to_pandas()
    return Earlier(rows, notes["transform"], frozenset(json.loads(notes["served"])))
