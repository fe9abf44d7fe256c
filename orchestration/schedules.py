"""Schedules: the night's run, an hour and a quarter after the UTC day has ended."""

from typing import Any

import dagster as dg

from orchestration.jobs import (
    behaviour_job,
    customers_job,
    habits_job,
    nightly_job,
    reports_job,
    retention_job,
    scores_job,
    volume_job,
    watch_job,
)


def _in_utc(job: Any, cron: str, *, name: str, description: str) -> dg.ScheduleDefinition:
    """Return a schedule that runs from the first start on, by the clock of UTC."""
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


lineage_nightly_schedule = dg.build_schedule_from_partitioned_job(
    nightly_job,
    name="lineage_nightly_schedule",
    hour_of_day=1,
    minute_of_hour=15,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Yesterday, UTC, through the whole lineage.",
)
"""Late enough for events that devices held back over midnight; later ones wait for a backfill of their day."""

retention_nightly_schedule = _in_utc(
    retention_job,
    "45 3 * * *",
    name="retention_nightly_schedule",
    description="What is older than its period goes, when the night's run is long over.",
)

watch_hourly_schedule = _in_utc(
    watch_job,
    "25 * * * *",
    name="watch_hourly_schedule",
    description="The champion held to what came of its decisions; an alarm lets the version before decide again.",
)

customers_nightly_schedule = _in_utc(
    customers_job,
    "30 2 * * *",
    name="customers_nightly_schedule",
    description="Lifetime value and churn, from the purchases up to yesterday.",
)

habits_nightly_schedule = _in_utc(
    habits_job,
    "45 2 * * *",
    name="habits_nightly_schedule",
    description="Hours and channels of recipients, their rows online, and what is fitted from their habits.",
)

behaviour_nightly_schedule = dg.build_schedule_from_partitioned_job(
    behaviour_job,
    name="behaviour_nightly_schedule",
    hour_of_day=3,
    minute_of_hour=10,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Clusters of recipients from the night's habits, and what of yesterday was out of the ordinary.",
)

volume_weekly_schedule = _in_utc(
    volume_job,
    "15 2 * * 1",
    name="volume_weekly_schedule",
    description="What another message a week is worth to whom, from the weeks before.",
)

scores_nightly_schedule = dg.build_schedule_from_partitioned_job(
    scores_job,
    name="scores_nightly_schedule",
    hour_of_day=3,
    minute_of_hour=0,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every recipient's scores as of yesterday's end, by the champions of the night.",
)

reports_nightly_schedule = _in_utc(
    reports_job,
    "30 3 * * *",
    name="reports_nightly_schedule",
    description="Groups and drift of the night's champion.",
)
