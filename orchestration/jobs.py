"""Jobs: the whole lineage in one run, and each group on its own.

A blocking check stops its own run only; a group's run is stopped by what the check left behind: quarantined days
and a version without a passed gate.
"""

import dagster as dg

GROUPS = (
    "events",
    "features",
    "training",
    "segments",
    "customers",
    "habits",
    "behaviour",
    "volume",
    "scores",
    "search",
    "reports",
    "watch",
    "retention",
)

nightly_job = dg.define_asset_job(
    "nightly_job",
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.groups(
        "retention", "watch", "customers", "habits", "behaviour", "volume", "scores", "search", "reports"
    ),
    description="All made from events in one run, for one day or a range of days: a failed check stops what follows.",
)


group_jobs = tuple(
    dg.define_asset_job(
        f"{name}_job",
        selection=dg.AssetSelection.groups(name),
        description=f"The assets of the group {name} only.",
    )
    for name in GROUPS
)
customers_job = next(job for job in group_jobs if job.name == "customers_job")
habits_job = next(job for job in group_jobs if job.name == "habits_job")
behaviour_job = next(job for job in group_jobs if job.name == "behaviour_job")
volume_job = next(job for job in group_jobs if job.name == "volume_job")
reports_job = next(job for job in group_jobs if job.name == "reports_job")
scores_job = next(job for job in group_jobs if job.name == "scores_job")
watch_job = next(job for job in group_jobs if job.name == "watch_job")
retention_job = next(job for job in group_jobs if job.name == "retention_job")
