"""Reports what of a day is out of the ordinary: recipients beside their own days, hours of a tenant beside its week.

Counted is what people do of their own accord. A recipient is looked at only where personalization is allowed and
analytics was not ended; hours of a tenant are counts of everybody and name nobody. Too little history is an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from adapters.lake import Lake, Written
from adapters.postgres.learning_facts import Facts
from assets.steps import event_days, feature_days, habit_rows, pictures
from feature_repo.engagement.catalog import ORGANIC
from models.anomaly import score
from models.anomaly.score import NotEnoughData, Week
from models.anomaly.spec import LEAST_DAYS, PRIOR_DAYS

TABLE = "out_anomalies"
SCHEMA = pa.schema(
    [
        ("tenant", pa.string()),
        ("what", pa.string()),
        ("recipient_id", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("events", pa.int64()),
        ("ordinary", pa.float64()),
        ("chance", pa.float64()),
        ("deviation", pa.float64()),
    ]
)
RECIPIENT, HOUR = "recipient", "hour"
_DAY, _AN_HOUR, _WEEK = timedelta(days=1), timedelta(hours=1), timedelta(days=7)
HISTORY = 8 * _WEEK
"""Before a day, to know what is ordinary; older habits say little."""
_READ_BACK = HISTORY + 2 * _WEEK
"""Whole weeks end on a Monday, up to a fortnight before the day's end."""
_WHO = ["tenant", "recipient_id"]


@dataclass
class Report:
    """What was found of one day; ``silent`` says of whom nothing can be told yet, and what is needed.

    ``alarms`` are tenant, moment and deviation of hours; ``events`` and ``ordinary`` are counts by hour of the day, of
    the tenants whose week is known.
    """

    day: date
    looked_at: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)
    alarms: list[tuple[str, str, float]] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    events: np.ndarray = field(default_factory=lambda: np.zeros(24))
    ordinary: np.ndarray = field(default_factory=lambda: np.zeros(24))

    def count(self, what: str) -> int:
        """Return how many recipients or hours were reported."""
        return sum(row["what"] == what for row in self.rows)

    @property
    def picture(self) -> bytes:
        """Draw the day's activity beside the ordinary."""
        title = f"Activity of {self.day} by hour, UTC: {self.count(HOUR)} alarms, {self.count(RECIPIENT)} recipients"
        return pictures.beside(self.events.tolist(), self.ordinary.tolist(), title=title, unit="events")


@dataclass(frozen=True)
class _Known:
    """What is known of events: recipients since when, and counts by recipient and day, and by tenant and hour."""

    since: pd.DataFrame
    allowed: pd.DataFrame
    daily: pd.DataFrame
    hourly: pd.DataFrame


def report_days(
    lake: Lake, days: Sequence[date], *, facts: Facts, nows: Mapping[str, datetime]
) -> dict[date, tuple[Report, Written]]:
    """Replace these days of the report.

    Args:
        lake: holds the events.
        days: UTC days, in order; of a tenant that has not reached a day's end nothing is said.
        facts: what recipients allow.
        nows: the tenants' clocks.

    Raises:
        Quarantined: a day that is read broke its contract.
        NoSuchTable: there are no events.
    """
    known = _known(lake, days, facts, nows)
    made = {}
    for day in days:
        report = Report(day)
        for tenant in sorted(name for name, now in nows.items() if now >= _start(day) + _DAY):
            since = known.since[known.since["tenant"] == tenant]["first_at"].min()
            if since < _start(day) + _DAY:  # a tenant without any event has no first one, and compares as False
                _recipients(report, known, tenant, since)
                _hours(report, known, tenant, since)
        rows = sorted(report.rows, key=lambda row: (row["tenant"], row["what"], row["recipient_id"] or "", row["at"]))
        made[day] = (report, lake.write(TABLE, pa.Table.from_pylist(rows, schema=SCHEMA), day=day))
    return made


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _known(lake: Lake, days: Sequence[date], facts: Facts, nows: Mapping[str, datetime]) -> _Known:
    first, last = min(days) - _READ_BACK, max(days)
    lake.require_checked(event_days.TABLE, first=first, last=last)
    kinds = pads.field("type").isin([kind.value for kind in ORGANIC])
    recent = pads.field("occurred_at") >= pa.scalar(_start(first), pa.timestamp("us", tz="UTC"))
    columns = [*_WHO, "occurred_at"]
    events = lake.select(event_days.TABLE, columns=columns, where=kinds & recent, last=last).to_pandas()
    since = feature_days.first_seen(lake, last=last)
    since = since[since["tenant"].isin(list(nows)) & since["recipient_id"].notna()]
    daily = events.assign(day=events["occurred_at"].dt.floor("D")).groupby([*_WHO, "day"]).size()
    hourly = events.assign(hour=events["occurred_at"].dt.floor("h")).groupby(["tenant", "hour"]).size()
    daily, hourly = (each.rename("events").reset_index() for each in (daily, hourly))
    there = since[since["deleted_at"].isna()]
    return _Known(since, habit_rows.allowed(there, facts, nows), daily, hourly)


def _recipients(report: Report, known: _Known, tenant: str, since: datetime) -> None:
    start = _start(report.day)
    before_it = (start - max(since, start - HISTORY)).days
    if before_it < LEAST_DAYS:
        report.silent[f"{tenant}: {RECIPIENT}"] = (
            f"not enough data: {max(before_it, 0)} days before it; at least {LEAST_DAYS} are needed"
        )
        return
    here = known.allowed["tenant"].eq(tenant) & (known.allowed["first_at"] < start + _DAY)
    who = known.allowed[here].set_index("recipient_id")["first_at"].dt.floor("D").clip(lower=start - HISTORY)
    counts = known.daily[known.daily["tenant"] == tenant]
    past = counts[(counts["day"] >= start - HISTORY) & (counts["day"] < start)]
    before = past.groupby("recipient_id")["events"].sum().reindex(who.index, fill_value=0).to_numpy(np.float64)
    now = counts[counts["day"] == start].set_index("recipient_id")["events"]
    today = now.reindex(who.index, fill_value=0).to_numpy(np.float64)
    days = (start - who).dt.days.to_numpy(np.float64)
    if not before.sum() > 0:
        report.silent[f"{tenant}: {RECIPIENT}"] = "not enough data: nobody who allows it was active before"
        return
    everybody = float(before.sum() / days.sum())
    tails = score.tail(today, before, days, everybody)
    usual = (before + PRIOR_DAYS * everybody) / (days + PRIOR_DAYS)
    report.looked_at += len(who)
    for place in np.flatnonzero(score.reported(tails)):
        told = {"recipient_id": who.index[place], "at": start, "chance": float(tails[place])}
        numbers = {"events": int(today[place]), "ordinary": float(usual[place]), "deviation": None}
        report.rows.append({"tenant": tenant, "what": RECIPIENT, **told, **numbers})


def _hours(report: Report, known: _Known, tenant: str, since: datetime) -> None:
    end = _start(report.day) + _DAY
    lately = end - _WEEK
    until = lately - lately.weekday() * _DAY
    whole = (until - pd.Timestamp(since).ceil("h")) // _WEEK * _WEEK
    mine = known.hourly[known.hourly["tenant"] == tenant]
    counts = mine.set_index("hour")["events"]
    try:
        week = Week.of(_between(counts, until - min(max(whole, timedelta()), HISTORY), until))
    except NotEnoughData as answer:
        report.silent[f"{tenant}: {HOUR}"] = str(answer)
        return
    events = _between(counts, lately, end)
    first = lately.weekday() * 24
    residuals = week.residuals(events, first=first)
    ordinary = week.median[(first + np.arange(len(events))) % len(week.median)]
    report.events, report.ordinary = report.events + events[-24:], report.ordinary + ordinary[-24:]
    for hour in score.alarms(residuals):
        at = lately + hour * _AN_HOUR
        if at >= _start(report.day):
            told = {"recipient_id": None, "at": at, "chance": None, "deviation": float(residuals[hour])}
            numbers = {"events": int(events[hour]), "ordinary": float(ordinary[hour])}
            report.rows.append({"tenant": tenant, "what": HOUR, **told, **numbers})
            report.alarms.append((tenant, f"{at:%Y-%m-%dT%H:%MZ}", float(residuals[hour])))


def _between(counts: "pd.Series[int]", first: datetime, end: datetime) -> np.ndarray:
    """Return events of every hour from one moment until another, those without any too."""
    hours = pd.date_range(first, end, freq="h", inclusive="left", unit="us")
    return counts.reindex(hours, fill_value=0).to_numpy(np.float64)
