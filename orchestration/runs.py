"""Runs a job from the command line, in this process, as one run of any number of days, and says what came of it.

The run is kept in the instance beside those of the pages; its lines go to standard error as it goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from adapters import endpoints
from adapters.endpoints import NotRunning
from adapters.feature_store import FeatureStore
from adapters.postgres.engine import Database
from adapters.postgres.event_archive import EventArchive
from adapters.settings import Settings
from orchestration.definitions import build_definitions

START_TAG, END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class NothingToRun(ValueError):
    """What was asked for names nothing that can run; the message says what there is."""


@dataclass(frozen=True)
class Outcome:
    """What one run did: ``assets`` holds the numbers each asset reported, ``broken`` the checks that failed."""

    job: str
    run_id: str
    succeeded: bool
    first: date | None
    last: date | None
    assets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    held: Sequence[str] = ()
    broken: Sequence[str] = ()
    failed_steps: Sequence[str] = ()


def home(settings: Settings) -> Path:
    """Return the folder of the Dagster instance.

    Raises:
        NotRunning: nobody wrote an instance there yet.
    """
    folder = settings.data_dir.expanduser().absolute() / "dagster"
    if not (folder / "dagster.yaml").is_file():
        raise NotRunning(f"there is no Dagster instance in {folder}; start Kairos first: kairos up")
    return folder


def register_features(settings: Settings) -> None:
    """Make Feast know the features of this code, in this fresh process; what was materialized stays known."""
    store = FeatureStore.of(settings, endpoints.resolve(settings))
    try:
        store.apply()
    finally:
        store.close()


def event_span(settings: Settings) -> tuple[date, date]:
    """Return the first and the last day that have events and may be materialized.

    Raises:
        NothingToRun: there are no events.
    """
    database = Database(endpoints.resolve(settings).databases.batch, pool_size=1)
    try:
        days = EventArchive(database, since=date.fromisoformat(settings.first_partition_date)).days()
    finally:
        database.close()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    last = date.fromisoformat(settings.last_partition_date) if settings.last_partition_date else yesterday
    known = [day for day in days if day <= last]
    if not known:
        raise NothingToRun("there are no events of a day that is over; send some, or: kairos ingest FILE")
    return known[0], known[-1]


def run(
    settings: Settings,
    instance: dg.DagsterInstance,
    *,
    job: str = "nightly_job",
    days: tuple[date, date] | None = None,
    select: Sequence[str] = (),
    cut: str | None = None,
) -> Outcome:
    """Run a job, or some of its assets, and return what it did; a failed step is told, not raised.

    Args:
        settings: which servers and folders.
        instance: where the run is kept.
        job: the job's name.
        days: first and last day, inclusive; None where the chosen assets are not divided into days.
        select: names of assets; none selects all of the job.
        cut: divides training from test, see ``FitConfig``.

    Raises:
        NothingToRun: no such job or asset, or a day that is no partition.
    """
    definitions = build_definitions(settings)
    chosen = _job(definitions, job)
    assets = _selected(chosen, select)
    span = days if chosen.partitions_def is not None else None
    done = chosen.execute_in_process(
        instance=instance,
        tags=_tags(chosen, span),
        asset_selection=assets or None,
        run_config=_config(chosen, assets, cut),
        raise_on_error=False,
    )
    return _outcome(job, done, span)


def _job(definitions: dg.Definitions, name: str) -> dg.JobDefinition:
    known = sorted(one.name for one in definitions.resolve_all_job_defs() if not one.name.startswith("__"))
    if name not in known:
        raise NothingToRun(f"there is no job {name!r}; there are {', '.join(known)}")
    return definitions.resolve_job_def(name)


def _selected(job: dg.JobDefinition, names: Sequence[str]) -> list[dg.AssetKey]:
    known = {key.to_user_string(): key for key in job.asset_layer.executable_asset_keys}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NothingToRun(f"{job.name} has no asset {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return [known[name] for name in names]


def _tags(job: dg.JobDefinition, days: tuple[date, date] | None) -> dict[str, str]:
    if days is None or job.partitions_def is None:
        return {}
    first, last = (day.isoformat() for day in days)
    for key in (first, last):
        if not job.partitions_def.has_partition_key(key):
            raise NothingToRun(
                f"{key} is no partition; they go from {job.partitions_def.get_first_partition_key()} "
                f"to {job.partitions_def.get_last_partition_key()}"
            )
    if first > last:
        raise NothingToRun(f"the first day, {first}, lies after the last, {last}")
    return {START_TAG: first, END_TAG: last}


def _config(job: dg.JobDefinition, assets: Sequence[dg.AssetKey], cut: str | None) -> dict[str, Any]:
    model = dg.AssetKey("engagement_model")
    within = model in (assets or job.asset_layer.executable_asset_keys)
    ops = {"engagement_model": {"config": {"cut": cut}}} if cut and within else {}
    # A logger that is not asked for by name is not used: Dagster's own prints every event of every partition.
    return {"loggers": {"console": {}}, "ops": ops}


def _outcome(job: str, done: dg.ExecuteInProcessResult, days: tuple[date, date] | None) -> Outcome:
    assets: dict[str, dict[str, Any]] = {}
    for event in done.get_asset_materialization_events():
        told = event.materialization
        numbers = {name: value.value for name, value in told.metadata.items() if _is_plain(value)}
        assets[told.asset_key.to_user_string()] = numbers
    checks = done.get_asset_check_evaluations()
    return Outcome(
        job=job,
        run_id=done.run_id,
        succeeded=done.success,
        first=days[0] if days else None,
        last=days[1] if days else None,
        assets=assets,
        held=[check.check_name for check in checks if check.passed],
        broken=[check.check_name for check in checks if not check.passed],
        failed_steps=[event.step_key for event in done.all_events if event.is_step_failure and event.step_key],
    )


def _is_plain(value: dg.MetadataValue) -> bool:
    return isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue | dg.TextMetadataValue)
