"""What an asset page shows about a result: counts, digests, pictures and links; never anything about one person."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from adapters.lake import Written
from adapters.model_registry import ModelRegistry, Version

if TYPE_CHECKING:
    from assets.steps.anomalies import Report
    from assets.steps.cluster_models import Sorted
    from assets.steps.customer_gate import Weighed as WeighedCustomers
    from assets.steps.online import Parity
    from assets.steps.publishing import Weighed
    from assets.steps.reports import GroupReport, ShiftReport
    from assets.steps.searching import Found
    from assets.steps.watching import RolledBack, Seen
    from models.promotion.finding import Claim

WHY = "why"
"""Metadata of a check that failed: the reason in one sentence."""

Metadata = dict[str, dg.MetadataValue]
MAX_PICTURE_BYTES = 100_000
"""A picture is kept in a row of the event log; larger ones do not belong there."""

_PARTITION, _START, _END = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


def days_of(tags: Mapping[str, str]) -> list[date]:
    """Return the days a run is about, from its tags; none when it is about no partition."""
    first, last = tags.get(_START, tags.get(_PARTITION)), tags.get(_END, tags.get(_PARTITION))
    if first is None or last is None:
        return []
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def dates(keys: Sequence[str]) -> list[date]:
    """Return partition keys as days, in order."""
    return sorted(date.fromisoformat(key) for key in keys)


def day(written: Written) -> Metadata:
    """Describe one day of a table."""
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(written.rows),
        "table_digest": dg.MetadataValue.text(written.digest),
    }


def days(written: Mapping[date, Written]) -> Metadata:
    """Describe what one run wrote of a daily table."""
    return {
        "days": dg.MetadataValue.int(len(written)),
        "rows": dg.MetadataValue.int(sum(one.rows for one in written.values())),
    }


def online(newest: Mapping[str, date], rows: int) -> Metadata:
    """Describe what is online: the day of each tenant, and the recipients of all."""
    return {
        "dagster/row_count": dg.MetadataValue.int(rows),
        "day_by_tenant": dg.MetadataValue.json({tenant: day.isoformat() for tenant, day in sorted(newest.items())}),
    }


def whole(written: Written) -> Metadata:
    """Describe a table that is not divided into days."""
    return {
        "dagster/row_count": dg.MetadataValue.int(written.rows),
        "table_digest": dg.MetadataValue.text(written.digest),
        "path": dg.MetadataValue.path(str(written.path)),
    }


def version(written: Mapping[date, Written]) -> dg.DataVersion:
    """Return one digest of every day written: the same digest means the same data."""
    told = "\n".join(f"{day} {one.digest}" for day, one in sorted(written.items()))
    return dg.DataVersion(hashlib.sha256(told.encode()).hexdigest()[:32])


def picture(png: bytes, *, alt: str) -> dg.MetadataValue:
    """Return an image that the asset page shows.

    Raises:
        ValueError: it is larger than a row of the event log should be.
    """
    if len(png) > MAX_PICTURE_BYTES:
        raise ValueError(f"{alt}: {len(png)} bytes, at most {MAX_PICTURE_BYTES} fit into the event log")
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def lineage(run_id: str, asset: dg.AssetKey, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that lead from a model version back to the run that made it."""
    found = days_of(tags)
    partition = {"dagster.partition": f"{found[0]}...{found[-1]}"} if found else {}
    return {"dagster.run_id": run_id, "dagster.asset_key": asset.to_user_string(), **partition}


def model(
    version: Version, registry: ModelRegistry, metrics: Mapping[str, float], figures: Mapping[str, bytes]
) -> Metadata:
    """Describe a model version: where it is, how it does, and its pictures."""
    drawn = {Path(name).stem: picture(png, alt=Path(name).stem) for name, png in figures.items()}
    return {**numbers(metrics), **drawn, **_version(version, registry)}


def maybe_model(
    version: Version | None,
    registry: ModelRegistry,
    metrics: Mapping[str, float],
    figures: Mapping[str, bytes],
    *,
    why: str,
) -> Metadata:
    """Describe a model version where there is one, and say why there is none, or why it may not serve."""
    told = model(version, registry, metrics, figures) if version is not None else numbers(metrics)
    return told | ({WHY: dg.MetadataValue.text(why)} if why else {})


def weighed(weighed: "Weighed | WeighedCustomers", claim: "Claim", registry: ModelRegistry) -> Metadata:
    """Describe what the gate found of one claim: every condition with its number, and the pictures that show it."""
    found = weighed.verdict.of(claim)
    findings: list[dict[str, str | int | float | bool | None]] = [
        {"condition": one.condition, "held": one.held, "number": one.number, "limit": one.limit, "why": one.sentence}
        for one in found
    ]
    against = weighed.champion.version if weighed.champion else "none"
    broken = [one.sentence for one in found if not one.held]
    why = {WHY: dg.MetadataValue.text("; ".join(broken))} if broken else {}
    drawn = {
        Path(name).stem: picture(png, alt=Path(name).stem)
        for name, png in weighed.pictures.items()
        if Path(name).stem in _PICTURES.get(claim.value, ())
    }
    more = numbers(weighed.numbers) if claim.value == _FIRST else {}
    return {
        **why,
        "conditions": listed(findings),
        "champion_version": dg.MetadataValue.text(against),
        **drawn,
        **more,
        **_version(weighed.challenger, registry),
    }


_FIRST = "challenger_beats_champion"
_PICTURES = {
    _FIRST: ("calibration", "gain"),
    "challenger_makes_no_group_worse": ("groups",),
    "challenger_sees_what_it_was_trained_on": ("drift", "importance"),
    "challenger_is_no_worse_as_shadow": ("shadow",),
    "challenger_is_calibrated": ("held_out",),
}
"""Which pictures a check shows; each is kept once."""


def watched(seen: "Seen") -> Metadata:
    """Describe what came of the champion's decisions."""
    found = seen.watched
    told = found.observed_expected
    ratio = {} if told is None else {"observed_expected": told.value, "low": told.low, "high": told.high}
    return {
        "champion_version": dg.MetadataValue.text(seen.version or "none"),
        "outcomes": dg.MetadataValue.int(found.n),
        "conversions": dg.MetadataValue.int(found.positives),
        "cumulative_sums": picture(seen.picture, alt="cumulative sums of live outcomes"),
        **numbers(ratio),
        **alarms(seen.version, found.alarms),
    }


def alarms(version: str, found: Sequence[str]) -> Metadata:
    """Say what is wrong with a version, if anything."""
    why = {WHY: dg.MetadataValue.text("; ".join(found))} if found else {}
    return {"watched_version": dg.MetadataValue.text(version or "none"), **why}


def rolled_back(done: "RolledBack", registry: ModelRegistry) -> Metadata:
    """Say whether another version decides now, which, and why."""
    if done.back_to is None:
        return {"rolled_back": dg.MetadataValue.bool(False)}
    why = {"rolled_back": dg.MetadataValue.bool(True), WHY: dg.MetadataValue.text(done.reason)}
    return {**why, "from_version": dg.MetadataValue.text(done.version), **_version(done.back_to, registry)}


def searched(found: "Found") -> Metadata:
    """Describe a search: what it found, what is used now, and how often it tried."""
    told = {f"best.{name}": float(number) for name, number in asdict(found.best).items()}
    losses = {"loss": found.loss, "loss_of_those_in_use": found.loss_now}
    ids = {"trials": dg.MetadataValue.int(len(found.trials)), "mlflow_run_id": dg.MetadataValue.text(found.run_id)}
    return {**numbers(losses | told), **ids}


def groups(made: "GroupReport") -> Metadata:
    """Describe how the champion serves groups: the worst-off of each attribute with its interval, and pictures."""
    worst: list[dict[str, str | int | float | bool | None]] = [
        {"attribute": each.attribute, "worst_off": each.value, **asdict(each.difference)} for each in made.gaps
    ]
    drawn = {name: picture(png, alt=name) for name, png in made.pictures.items()}
    return {"groups_told": dg.MetadataValue.int(len(made.groups)), "worst_gaps": listed(worst), **drawn}


def shift(made: "ShiftReport") -> Metadata:
    """Describe how far people moved away from the training rows."""
    weighted = {} if made.weighted is None else {"psi_by_importance": made.weighted}
    rows = {"rows_then": dg.MetadataValue.int(made.rows[0]), "rows_today": dg.MetadataValue.int(made.rows[1])}
    psi = {name: round(number, 4) for name, number in sorted(made.psi.items(), key=lambda each: -each[1])}
    return {**numbers(weighted), **rows, "psi": dg.MetadataValue.json(psi), "shift": picture(made.picture, alt="shift")}


def clusters(done: "Sorted") -> Metadata:
    """Describe who was sorted, by which version; without a champion nobody is."""
    version = dg.MetadataValue.text(done.version or "none")
    return whole(done.written) | {"champion_version": version, "sizes": picture(done.picture, alt="cluster sizes")}


def anomalies(reports: Sequence["Report"]) -> Metadata:
    """Count what was out of the ordinary, with the last day's picture, and whom nothing can be told of yet."""
    last = reports[-1]
    return {
        "recipient_days_looked_at": dg.MetadataValue.int(sum(each.looked_at for each in reports)),
        "recipients_reported": dg.MetadataValue.int(sum(each.count("recipient") for each in reports)),
        "hours_reported": dg.MetadataValue.int(sum(each.count("hour") for each in reports)),
        "nothing_told": dg.MetadataValue.json(dict(sorted(last.silent.items()))),
        "activity": picture(last.picture, alt="activity by hour"),
    }


def parity(found: "Parity") -> Metadata:
    """Describe a comparison of online values with the table."""
    return {
        "recipients_compared": dg.MetadataValue.int(found.compared),
        "newer_online": dg.MetadataValue.int(found.newer_online),
        "missing_online": dg.MetadataValue.int(found.missing_online),
        "differing_by_feature": dg.MetadataValue.json(dict(found.differing)),
    }


def _version(version: Version, registry: ModelRegistry) -> Metadata:
    return {
        "mlflow_model_version": dg.MetadataValue.text(version.version),
        "mlflow_run_id": dg.MetadataValue.text(version.run_id),
        "mlflow": dg.MetadataValue.url(registry.page(version)),
    }


def numbers(metrics: Mapping[str, float]) -> Metadata:
    """Return numbers as metadata, by name."""
    return {name: dg.MetadataValue.float(float(number)) for name, number in metrics.items()}


def listed(rows: Sequence[Mapping[str, str | int | float | bool | None]]) -> dg.MetadataValue:
    """Return rows as a table; all have the same columns."""
    return dg.MetadataValue.table(
        records=[dg.TableRecord(dict(row)) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name) for name in (rows[0] if rows else {})]),
    )
