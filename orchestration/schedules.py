"""Schedules: the night's run, an hour and a quarter after the UTC day has ended."""

import dagster as dg

from orchestration.jobs import (
    customers_job,
    habits_job,
    nightly_job,
    reports_job,
    retention_job,
    scores_job,
    volume_job,
    watch_job,
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

retention_nightly_schedule = dg.ScheduleDefinition(
    name="retention_nightly_schedule",
    job=retention_job,
    cron_schedule="45 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="What is older than its period goes, when the night's run is long over.",
)

watch_hourly_schedule = dg.ScheduleDefinition(
    name="watch_hourly_schedule",
    job=watch_job,
    cron_schedule="25 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The champion held to what came of its decisions; an alarm lets the version before decide again.",
)

customers_nightly_schedule = dg.ScheduleDefinition(
    name="customers_nightly_schedule",
    job=customers_job,
    cron_schedule="30 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Lifetime value and churn, from the purchases up to yesterday.",
)

habits_nightly_schedule = dg.ScheduleDefinition(
    name="habits_nightly_schedule",
    job=habits_job,
    cron_schedule="45 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Hours and channels of recipients, their rows online, and the models that read them.",
)

volume_weekly_schedule = dg.ScheduleDefinition(
    name="volume_weekly_schedule",
    job=volume_job,
    cron_schedule="15 2 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
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

reports_nightly_schedule = dg.ScheduleDefinition(
    name="reports_nightly_schedule",
    job=reports_job,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Groups and drift of the night's champion.",
)
