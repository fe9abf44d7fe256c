"""The one code location: every asset, check, job, schedule and resource, built from the settings.

Importing it opens no connection and loads none of the heavy packages.
"""

import dagster as dg

from adapters.settings import Settings, load_settings, silence_telemetry
from assets import (
    behaviour,
    customers,
    events,
    features,
    habits,
    leaving,
    reports,
    retention,
    scores,
    search,
    segments,
    training,
    watch,
)
from assets.checks import contracts, live, parity, promotion
from assets.checks import customers as customer_checks
from orchestration import jobs, partitions, resources, schedules
from orchestration.console import console

ASSETS = (
    events.raw_engagement_events,
    features.core_recipient_engagement_daily,
    features.online_recipient_features,
    training.out_engagement_training_set,
    training.engagement_model,
    training.engagement_champion,
    training.out_engagement_holdout,
    segments.out_segment_membership,
    customers.lifetime_value_model,
    customers.churn_model,
    customers.lifetime_value_champion,
    customers.churn_champion,
    scores.out_recipient_scores,
    search.engagement_parameters,
    reports.out_engagement_groups,
    reports.engagement_shift,
    watch.out_engagement_live_quality,
    watch.engagement_rollback,
    *habits.ASSETS,
    *behaviour.ASSETS,
    *leaving.ASSETS,
    *retention.ASSETS,
)
CHECKS = (
    contracts.event_contract_checks,
    promotion.promotion_gate_checks,
    customer_checks.lifetime_value_gate,
    customer_checks.churn_gate,
    parity.online_equals_offline,
    live.champion_holds_on_live_outcomes,
    *habits.CHECKS,
    *behaviour.CHECKS,
    *leaving.CHECKS,
)


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the lineage for these settings."""
    days = partitions.daily(settings)
    return dg.Definitions(
        assets=[partitions.divided(asset, days) for asset in ASSETS],
        asset_checks=list(CHECKS),
        jobs=[jobs.nightly_job, *jobs.group_jobs],
        schedules=[
            schedules.lineage_nightly_schedule,
            schedules.retention_nightly_schedule,
            schedules.watch_hourly_schedule,
            schedules.customers_nightly_schedule,
            schedules.habits_nightly_schedule,
            schedules.behaviour_nightly_schedule,
            schedules.volume_weekly_schedule,
            schedules.scores_nightly_schedule,
            schedules.reports_nightly_schedule,
        ],
        resources=resources.of(settings),
        executor=dg.in_process_executor,
        loggers={"console": console},
    )


silence_telemetry()
defs = build_definitions(load_settings())
