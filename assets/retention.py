"""Retention: what is older than its period goes, one asset for each table, so that each run says what went.

With ``dry_run`` nothing is deleted and the same counts are shown.
"""

import dagster as dg

from adapters.retention import Forgetter, Forgotten
from assets.events import AGAIN, NIGHTLY, OWNERS
from domain.retention import Retained


class RetentionConfig(dg.Config):
    """How a run goes about it."""

    dry_run: bool = False


def _of(what: Retained, about: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"retained_{what.value}",
        group_name="retention",
        owners=OWNERS,
        kinds={"postgres"},
        description=about,
        freshness_policy=NIGHTLY,
        retry_policy=AGAIN,
    )
    def retained(config: RetentionConfig, forgetter: dg.ResourceParam[Forgetter]) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
        return _told(forgetter.rows(what, is_dry=config.dry_run))

    return retained


@dg.asset(group_name="retention", owners=OWNERS, kinds={"parquet"}, freshness_policy=NIGHTLY)
def retained_lake(config: RetentionConfig, forgetter: dg.ResourceParam[Forgetter]) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    """Rows of the lake within the period of events; a day that has none left is deleted."""
    return _told(forgetter.files(is_dry=config.dry_run))


def _told(found: Forgotten) -> dg.MaterializeResult:  # type: ignore[type-arg] # it carries no value
    counts = {f"rows_{name}": dg.MetadataValue.int(count) for name, count in sorted(found.rows.items())}
    total = dg.MetadataValue.int(sum(found.rows.values()))
    return dg.MaterializeResult(
        metadata={"dry_run": dg.MetadataValue.bool(found.is_dry), "rows_too_old": total, **counts}
    )


ASSETS = (
    _of(Retained.EVENTS, "Events and their digests within their period; older ones are refused on receipt."),
    _of(Retained.DECISIONS, "Decisions and answered contests within their period."),
    _of(Retained.DEAD_LETTERS, "What was received and is no event, within its period."),
    _of(Retained.JOBS, "Jobs that have ended, with their verdicts, within their period."),
    retained_lake,
)
