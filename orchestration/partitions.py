"""Days as partitions: which tables are divided by UTC day, and that any number of days is one run.

A run costs more than a day's work, so history is one run of many days, never many runs.
"""

from datetime import date, timedelta

import dagster as dg

from adapters.settings import Settings

DAILY = frozenset(
    {"raw_engagement_events", "core_recipient_engagement_daily", "out_recipient_scores", "anomaly_report"}
)
"""Assets that are divided by day; the others hold what is true now."""


def daily(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Return the days from the first to the last that the settings name; without a last one, until yesterday."""
    last = settings.last_partition_date
    end = (date.fromisoformat(last) + timedelta(days=1)).isoformat() if last else None
    return dg.DailyPartitionsDefinition(start_date=settings.first_partition_date, end_date=end, timezone="UTC")


def divided(asset: dg.AssetsDefinition, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Divide a daily asset into days, all of which one run may make; return any other as it is."""
    if asset.key.to_user_string() not in DAILY:
        return asset
    by_day = asset.map_asset_specs(lambda spec: spec.replace_attributes(partitions_def=days))
    return by_day.with_attributes(backfill_policy=dg.BackfillPolicy.single_run())
