"""``kairos replay``: recorded decisions made again from their records, and what they would have been under other rules.

Nothing is asked again and nothing is changed. Exit codes: 0 done, 1 a replay differs from its record, 2 wrong use,
6 the servers do not run.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode, Refused
from cli.installation import opened, tenants_named
from cli.moments import moment_of
from cli.replayed_period import Period

if TYPE_CHECKING:
    from domain.what_if import Changes

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per tenant.")]


def replay(
    *,
    decision: Annotated[str | None, typer.Option(help="Make this decision again and compare every field.")] = None,
    since: Annotated[str | None, typer.Option(help="Every decision from a date (UTC) or moment on.")] = None,
    policy: Annotated[str | None, typer.Option(help="What if: epsilon_softmax, rules or uniform.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="What if: cap.push.week=3, epsilon=0.05, variant_policy=thompson; may be repeated."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's decisions.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make recorded decisions again, byte for byte; or say what another policy or cap would have changed."""
    if (decision is None) == (since is None):
        raise Refused("one of --decision and --since is needed, and not both", ExitCode.USAGE)
    changes = _changes(policy, given or [])
    if decision is not None and changes is not None:
        raise Refused("--policy and --set need --since: one decision says nothing about a policy", ExitCode.USAGE)
    moment = moment_of(since, "--since") if since is not None else None
    differing = 0
    with opened() as here:
        found = False
        for each in tenants_named(here, tenant):
            period = Period(here, each)
            records = period.one(decision) if decision is not None else period.since(moment)
            document = period.replayed(records) if changes is None else period.otherwise(records, changes)
            if decision is not None and not document["decisions"]:
                continue
            found = True
            differing += len(document.get("mismatches", ()))
            print(json.dumps(document) if as_json else _text(document))
    if not found:
        raise Refused(f"there is no decision {decision}", ExitCode.USAGE)
    if differing:
        raise typer.Exit(1)


def _changes(policy: str | None, given: list[str]) -> "Changes | None":
    from domain.what_if import BadChange, changes

    if policy is None and not given:
        return None
    try:
        return changes(policy, given)
    except BadChange as error:
        raise Refused(str(error), ExitCode.USAGE) from None


def _text(document: dict[str, Any]) -> str:
    lines = [f"{document['tenant']}: {document['decisions']} decisions made again"]
    if document["not_replayable"]:
        lines.append(f"  {document['not_replayable']} older ones hold too little to be made again")
    if document.get("left_out"):
        lines.append(f"  {document['left_out']} are left out: the belief about their variants is not kept")
    if "mismatches" in document:
        lines.append(f"  {len(document['mismatches'])} differ from their records")
        lines += [f"    {each['decision_id']}: {', '.join(each['fields'])}" for each in document["mismatches"]]
        return "\n".join(lines)
    lines += [f"  {each['from']} -> {each['to']}: {each['decisions']}" for each in document["changed"]]
    worth = document["worth"]
    if worth is None:
        return "\n".join([*lines, "  nothing was decided, so nothing can be said about its worth"])
    if worth["verdict"] == "refused":
        lines.append("  what it would have been worth cannot be told:")
        return "\n".join([*lines, *(f"    {each}" for each in worth["warnings"])])
    value, gain = worth["estimates"]["dr"], worth["gains"]["over_log"]
    lines.append(f"  conversions per decision: {_interval(value)}, gain over what was: {_interval(gain)}")
    lines.append(f"  effective sample size {worth['ess']:.0f} of {worth['n']}")
    return "\n".join([*lines, *(f"  {each}" for each in worth["warnings"])])


def _interval(told: dict[str, Any]) -> str:
    if told["low"] is None:
        return f"{told['value']:.5f}"
    return f"{told['value']:.5f} [{told['low']:.5f}, {told['high']:.5f}]"
