"""``kairos lineage``: from a decision to everything it stood on, and from a day or an event to the decisions it moved.

Exit codes: 0 done, 2 wrong use or nothing of that name, 6 the servers do not run.
"""

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode, Refused
from cli.installation import opened, tenants_named

if TYPE_CHECKING:
    from collections.abc import Callable


MOST = 1_000


def lineage(
    *,
    decision: Annotated[str | None, typer.Option(help="What this decision stood on.")] = None,
    partition: Annotated[str | None, typer.Option(help="Decisions that a day of events touched: 2026-11-01.")] = None,
    event: Annotated[str | None, typer.Option(help="Decisions that this event touched.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many ids of each kind.")] = MOST,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per tenant.")] = False,
) -> None:
    """Follow a decision back to its model, training data, days and events, or bad data forward to decisions."""
    asked = {"decision": decision, "partition": partition, "event": event}
    given = {name: value for name, value in asked.items() if value is not None}
    if len(given) != 1:
        raise Refused("one of --decision, --partition and --event is needed, and no more", ExitCode.USAGE)
    [(kind, name)] = given.items()
    day = _day(name) if kind == "partition" else None
    found = []
    with opened() as here:
        from cli.traced import Trace

        for each in tenants_named(here, tenant):
            trace = Trace(here, each, limit=limit)
            follow: dict[str, Callable[[Trace], dict[str, Any] | None]] = {
                "decision": lambda one: one.decision(name),
                "partition": lambda one: one.partition(day or date.min),
                "event": lambda one: one.event(name),
            }
            document = follow[kind](trace)
            if document is not None:
                found.append(document)
    if not found:
        raise Refused(f"there is no {kind} {name}", ExitCode.USAGE)
    for document in found:
        print(json.dumps(document) if as_json else _text(document))


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise Refused("--partition: expected a day such as 2026-11-01", ExitCode.USAGE) from None


def _text(document: dict[str, Any], indent: str = "") -> str:
    lines = []
    for name, value in document.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", _text(value, indent + "  ")]
        elif isinstance(value, list):
            shown = ", ".join(map(str, value[:5])) + (", ..." if len(value) > 5 else "")  # noqa: PLR2004 - a line's worth
            lines.append(f"{indent}{name}: {shown or 'none'}")
        else:
            lines.append(f"{indent}{name}: {'unknown' if value is None else value}")
    return "\n".join(lines)
