"""Watches the champion on what came of its decisions, and takes it out of service when it is not what it said.

Going back is one alias; the bundle of the version before is on disk and was served. Every step may be done again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa

from adapters.bundle_shelf import BundleShelf
from adapters.lake import Lake, Written
from adapters.model_registry import CHAMPION, PREVIOUS, ModelRegistry, Version
from adapters.postgres.model_audit import ModelAudit
from adapters.postgres.model_outcomes import ModelOutcomes
from assets.refusals import Refusal
from assets.steps import gate_evidence, gate_pictures
from assets.steps.publishing import ROLLED_BACK
from models.promotion import live
from models.promotion.live import Watched
from models.promotion.rows import Scored

TABLE = "out_engagement_live_quality"
ACTOR = "watch"
AT, AUDITED = "rollback.at", "rollback.audited"
SCHEMA = pa.schema(
    [
        ("version", pa.string()),
        ("day", pa.date32()),
        ("tenant", pa.string()),
        ("channel", pa.string()),
        ("message_type", pa.string()),
        ("decisions", pa.int64()),
        ("expected", pa.float64()),
        ("observed", pa.int64()),
    ]
)


class NothingToGoBackTo(Refusal):
    """The champion should be taken out of service, and no earlier version can take its place."""


@dataclass(frozen=True)
class Seen:
    """What was seen of the champion; ``version`` is empty while there is none."""

    written: Written
    version: str
    watched: Watched
    picture: bytes


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did; ``back_to`` is None when nothing had to be done."""

    version: str
    back_to: Version | None
    reason: str


def look(lake: Lake, registry: ModelRegistry, outcomes: ModelOutcomes, nows: Mapping[str, datetime]) -> Seen:
    """Compare what the champion said of messages it sent with what came of them, and keep both by day and slice."""
    champion = registry.version(CHAMPION)
    number = champion.version if champion else ""
    rows = outcomes.sent(registry.model, nows, back=gate_evidence.BACK)
    mine = rows[rows["version"] == number].reset_index(drop=True)
    unit = (mine["tenant"] + "\t" + mine["subject_key"]).to_numpy(dtype="str")
    watched = live.watch(Scored.of(mine["converted"].to_numpy(dtype="float64"), _p(mine), unit))
    notes = {"version": number, "alarms": json.dumps(watched.alarms)}
    table = pa.Table.from_pandas(_by_slice(rows)[SCHEMA.names], schema=SCHEMA, preserve_index=False)
    return Seen(lake.write(TABLE, table, notes=notes), number, watched, gate_pictures.watch_png(watched))


def alarms(lake: Lake) -> tuple[str, tuple[str, ...]]:
    """Return the version that was looked at last, and what is wrong with it."""
    notes = lake.notes(TABLE)
    return notes["version"], tuple(json.loads(notes["alarms"]))


def roll_back(
    lake: Lake, registry: ModelRegistry, shelf: BundleShelf, audit: ModelAudit, *, at: datetime
) -> RolledBack:
    """Let the version before decide again when the last look raised an alarm; doing it again changes nothing.

    Raises:
        NothingToGoBackTo: there is an alarm, and no earlier version that is sound.
        NoSuchTable: nobody looked yet.
    """
    number, wrong = alarms(lake)
    if not number or not wrong:
        return RolledBack(number, None, "")
    bad, reason = registry.numbered(number), "; ".join(wrong)
    champion = registry.version(CHAMPION)
    if champion is not None and champion.version == number:
        before = _sound(registry.version(PREVIOUS), number, shelf)
        bad = registry.tag(bad, {ROLLED_BACK: reason, AT: at.isoformat()})
        registry.set_alias(CHAMPION, before)
        champion = before
    if ROLLED_BACK not in bad.tags or AUDITED in bad.tags or champion is None:
        return RolledBack(number, None, reason)
    detail = {"from": number, "to": champion.version}
    audit.note("model.rolled_back", registry.model, actor=ACTOR, reason=reason, detail=detail)
    registry.tag(bad, {AUDITED: "true"})
    return RolledBack(number, champion, reason)


def _sound(before: Version | None, number: str, shelf: BundleShelf) -> Version:
    if before is None or before.version == number:
        raise NothingToGoBackTo(f"version {number} is wrong on live outcomes, and no version decided before it")
    if ROLLED_BACK in before.tags:
        raise NothingToGoBackTo(f"version {before.version}, the one before {number}, was rolled back itself")
    if not shelf.holds(before.model, before.version):
        raise NothingToGoBackTo(f"the bundle of version {before.version}, the one before {number}, is not there")
    return before


def _p(rows: pd.DataFrame) -> "pd.Series[float]":
    return rows["p"].astype("float64").clip(1e-6, 1 - 1e-6)


def _by_slice(rows: pd.DataFrame) -> pd.DataFrame:
    moments = pd.to_datetime(rows["decided_at"], utc=True)
    keyed = rows.assign(day=moments.dt.date, p=rows["p"].astype("float64"), hit=rows["converted"].astype("int64"))
    keys = ["version", "day", "tenant", "channel", "message_type"]
    grouped = keyed.groupby(keys, sort=True, observed=True)
    return grouped.agg(decisions=("p", "size"), expected=("p", "sum"), observed=("hit", "sum")).reset_index()
