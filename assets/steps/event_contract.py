"""What must hold of an event table before anything is made from it, as claims, and how the lake's days are held to it.

A day that breaks a claim is quarantined and stays so until it is materialized again and keeps every claim.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce

import pandas as pd
import pyarrow as pa

from adapters.expectations import Breach, Claim, Rule, Verdict, Where, judge
from adapters.lake import Lake
from assets.steps.event_days import TABLE
from domain.events import EventType
from domain.values import Channel

LAKE_DAY, OCCURRED_DAY = "lake_day", "occurred_day"
IN_LAKE, IN_POSTGRES = "rows_in_lake", "rows_in_postgres"
ROWS_AT_ONCE = 500_000
"""Rows judged together, to bound memory; keys that repeat across days are PostgreSQL's to refuse."""

_KEYS = ("tenant", "source", "event_id")
_PRESENT = (*_KEYS, "type", "occurred_at", "received_at", "recipient_id", "local_date")
_READ = (*_PRESENT, "name", "channel", "value_minor", "currency", "local_hour_of_week")
_DELIVERIES = tuple(sorted(kind.value for kind in EventType if kind.is_delivery))
_CHANNELS = [channel.value for channel in Channel]


def _not_null(column: str, where: Where | None = None) -> Rule:
    return Rule("ExpectColumnValuesToNotBeNull", {"column": column}, where)


EVENT_CLAIMS = (
    Claim(
        "event_ids_are_unique",
        "No two events share tenant, source and event id.",
        (Rule("ExpectCompoundColumnsToBeUnique", {"column_list": list(_KEYS)}),),
    ),
    Claim("event_keys_are_present", "Nothing that names an event is missing.", tuple(map(_not_null, _PRESENT))),
    Claim(
        "event_types_are_known",
        "Every type is in the closed list, and a custom event has a name.",
        (
            Rule("ExpectColumnValuesToBeInSet", {"column": "type", "value_set": [kind.value for kind in EventType]}),
            _not_null("name", Where("type", (EventType.CUSTOM.value,))),
        ),
    ),
    Claim(
        "events_fall_in_their_day",
        "Every event happened on the UTC day it is kept under.",
        (Rule("ExpectColumnPairValuesToBeEqual", {"column_A": OCCURRED_DAY, "column_B": LAKE_DAY}),),
    ),
    Claim(
        "channels_are_known",
        "Every channel is in the closed list, and what happens to a message names one.",
        (
            Rule("ExpectColumnValuesToBeInSet", {"column": "channel", "value_set": _CHANNELS}),
            _not_null("channel", Where("type", _DELIVERIES)),
        ),
    ),
    Claim(
        "values_have_a_currency",
        "An amount names a currency of three capital letters, and a currency an amount.",
        (
            _not_null("currency", Where("value_minor")),
            _not_null("value_minor", Where("currency")),
            Rule("ExpectColumnValuesToMatchRegex", {"column": "currency", "regex": "^[A-Z]{3}$"}),
        ),
    ),
    Claim(
        "local_hours_are_in_the_week",
        "The recipient's local hour of week lies in 0 to 167.",
        (
            _not_null("local_hour_of_week"),
            Rule("ExpectColumnValuesToBeBetween", {"column": "local_hour_of_week", "min_value": 0, "max_value": 167}),
        ),
    ),
)
COUNT_CLAIMS = (
    Claim(
        "counts_agree_with_postgres",
        "Each day has as many rows as PostgreSQL has events.",
        (Rule("ExpectColumnPairValuesToBeEqual", {"column_A": IN_LAKE, "column_B": IN_POSTGRES}),),
    ),
)
CLAIMS = EVENT_CLAIMS + COUNT_CLAIMS


@dataclass(frozen=True)
class BrokenRow:
    """One row that broke a rule, by the event's own id: nothing personal."""

    day: date
    event_id: str
    column: str
    rule: str


@dataclass(frozen=True)
class Finding:
    """What came of one claim: rows judged, rows broken, the first of them, and where they all are."""

    claim: str
    passed: bool
    evaluated: int
    broken: int = 0
    examples: tuple[BrokenRow, ...] = ()
    quarantine: tuple[str, ...] = ()


_EXAMPLES = 20
"""Most rows that are shown for one claim; the quarantine has them all."""


def examine(lake: Lake, days: Sequence[date], in_postgres: Mapping[date, int]) -> list[Finding]:
    """Hold days of the event table to every claim; quarantine the days that break one, release the others.

    Args:
        lake: the tables.
        days: UTC days the table has.
        in_postgres: events of each day in PostgreSQL.
    """
    parts: dict[str, list[Finding]] = {claim.name: [] for claim in CLAIMS}
    for batch in _batches(lake, days):
        frames = {day: _frame(lake, day) for day in batch}
        rows = pd.concat(list(frames.values()), ignore_index=True)
        counts = _counts({day: len(frame) for day, frame in frames.items()}, in_postgres)
        for verdict in judge(rows, EVENT_CLAIMS):
            parts[verdict.claim].append(_settle(lake, batch, rows, verdict))
        for verdict in judge(counts, COUNT_CLAIMS):
            parts[verdict.claim].append(_settle(lake, batch, counts, verdict))
    return [reduce(_joined, found, Finding(name, passed=True, evaluated=0)) for name, found in parts.items()]


def _batches(lake: Lake, days: Sequence[date]) -> Iterator[list[date]]:
    batch: list[date] = []
    rows = 0
    for day in days:
        count = lake.rows(TABLE, day=day)
        if batch and rows + count > ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(day)
        rows += count
    if batch:
        yield batch


def _frame(lake: Lake, day: date) -> pd.DataFrame:
    table = lake.read(TABLE, day=day).select(list(_READ))
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.int16(): pd.Int16Dtype()}.get)
    occurred = frame["occurred_at"].dt.strftime("%Y-%m-%d")
    return frame.assign(**{LAKE_DAY: day.isoformat(), OCCURRED_DAY: occurred})


def _counts(in_lake: Mapping[date, int], in_postgres: Mapping[date, int]) -> pd.DataFrame:
    rows = [(day.isoformat(), "", count, in_postgres[day]) for day, count in in_lake.items()]
    return pd.DataFrame(rows, columns=[LAKE_DAY, "event_id", IN_LAKE, IN_POSTGRES])


def _settle(lake: Lake, days: Sequence[date], rows: pd.DataFrame, verdict: Verdict) -> Finding:
    """Quarantine what broke the claim, release the days that keep it, and say what was found."""
    if any(breach.problem for breach in verdict.breaches):
        verdict = replace(verdict, breaches=tuple(_everywhere(breach, len(rows)) for breach in verdict.breaches))
    broken = rows.iloc[sorted({position for breach in verdict.breaches for position in breach.positions})]
    by_day = {day: pa.Table.from_pandas(mine, preserve_index=False) for day, mine in broken.groupby(LAKE_DAY)}
    kept = []
    for day in days:
        mine = by_day.get(day.isoformat())
        if mine is None:
            lake.release(TABLE, day, verdict.claim)
        else:
            kept.append(str(lake.quarantine(TABLE, day, verdict.claim, mine)))
    shown = [row for breach in verdict.breaches for row in _shown(rows, breach)]
    return Finding(verdict.claim, verdict.passed, verdict.evaluated, len(broken), tuple(shown[:_EXAMPLES]), tuple(kept))


def _everywhere(breach: Breach, count: int) -> Breach:
    """Spread a rule that could not be judged over every row: what is not known to hold does not."""
    return replace(breach, positions=tuple(range(count))) if breach.problem else breach


def _shown(rows: pd.DataFrame, breach: Breach) -> Iterator[BrokenRow]:
    rule = breach.rule if breach.problem is None else f"{breach.rule}: {breach.problem}"
    chosen = rows.iloc[list(breach.positions[:_EXAMPLES])]
    for day, event_id in zip(chosen[LAKE_DAY], chosen["event_id"], strict=True):
        yield BrokenRow(date.fromisoformat(day), "" if pd.isna(event_id) else str(event_id), breach.column, rule)


def _joined(left: Finding, right: Finding) -> Finding:
    return Finding(
        left.claim,
        left.passed and right.passed,
        left.evaluated + right.evaluated,
        left.broken + right.broken,
        (left.examples + right.examples)[:_EXAMPLES],
        left.quarantine + right.quarantine,
    )
