"""The event contract as blocking checks, one for each claim, judged by Great Expectations.

A check shows the ids of failing events with column and rule, nothing personal; the rows themselves go to quarantine.
"""

from collections.abc import Iterator

import dagster as dg

from adapters.lake import Lake
from adapters.postgres.event_archive import EventArchive
from assets import described
from assets.steps import event_contract, event_days
from assets.steps.event_contract import Finding

_SPECS = [
    dg.AssetCheckSpec(claim.name, asset="raw_engagement_events", description=claim.sentence, blocking=True)
    for claim in event_contract.CLAIMS
]


@dg.multi_asset_check(name="event_contract", specs=_SPECS)
def event_contract_checks(
    context: dg.AssetCheckExecutionContext,
    event_archive: dg.ResourceParam[EventArchive],
    lake: dg.ResourceParam[Lake],
) -> Iterator[dg.AssetCheckResult]:
    """Hold the days of this run, or the newest day, to every claim of the event contract."""
    days = described.days_of(context.run.tags) or list(lake.days(event_days.TABLE)[-1:])
    for finding in event_contract.examine(lake, days, event_archive.counts(days)):
        yield _result(finding, len(days))


def _result(finding: Finding, days: int) -> dg.AssetCheckResult:
    broken = [
        {"day": row.day.isoformat(), "event_id": row.event_id, "column": row.column, "rule": row.rule}
        for row in finding.examples
    ]
    shown: described.Metadata = {
        "days": dg.MetadataValue.int(days),
        "rows_judged": dg.MetadataValue.int(finding.evaluated),
        "rows_broken": dg.MetadataValue.int(finding.broken),
    }
    if broken:
        first = finding.examples[0]
        shown[described.WHY] = dg.MetadataValue.text(
            f"{finding.broken} of {finding.evaluated} rows, such as {first.event_id} of {first.day}: "
            f"{first.column}, {first.rule}"
        )
        shown["broken"] = described.listed(broken)
        shown["quarantine"] = dg.MetadataValue.json(list(finding.quarantine))
    return dg.AssetCheckResult(
        check_name=finding.claim, asset_key="raw_engagement_events", passed=finding.passed, metadata=shown
    )
