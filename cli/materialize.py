"""``kairos materialize``: runs the lineage, or part of it, for a range of days, as one run, and shows how it goes on.

Exit codes: 0 everything was made and every blocking check holds, 1 something failed, 2 the request makes no sense,
6 the servers do not run.
"""

import json
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.settings import Settings
    from orchestration.runs import Outcome


def materialize(
    *,
    first: Annotated[str | None, typer.Option("--from", help="First day; default the first event's.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day; default the last event's.")] = None,
    job: Annotated[str, typer.Option("--job", help="Which job; see Dagster's page for all.")] = "nightly_job",
    select: Annotated[str, typer.Option("--select", help="Only these assets of the job, separated by commas.")] = "",
    cut: Annotated[str | None, typer.Option("--cut", help="Moment that divides training from test rows.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object when done.")] = False,
) -> None:
    """Materialize tables, features, model and segments for a range of days, as one run."""
    from adapters.settings import load_settings

    names = [name.strip() for name in select.split(",") if name.strip()]
    outcome = run(load_settings(), first=first, last=last, job=job, select=names, cut=cut)
    if as_json:
        print(json.dumps(asdict(outcome), default=str))
    else:
        print(_told(outcome))
    if not outcome.succeeded:
        raise typer.Exit(ExitCode.FAILED)


def run(
    settings: "Settings",
    *,
    first: str | None = None,
    last: str | None = None,
    job: str = "nightly_job",
    select: list[str] | None = None,
    cut: str | None = None,
) -> "Outcome":
    """Run a job in this process, for the days from the first to the last event unless told otherwise.

    Raises:
        Refused: the request names nothing that can run.
    """
    import dagster as dg

    from orchestration import runs

    try:
        begin, end = _day(first, "--from"), _day(last, "--to")
        span = (begin, end) if begin and end else runs.event_span(settings)
        runs.register_features(settings)
        with dg.DagsterInstance.from_config(str(runs.home(settings))) as instance:
            # Else each of the events, several for each day, opens a connection of its own: a year took minutes.
            instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=2)
            return runs.run(
                settings, instance, job=job, days=(begin or span[0], end or span[1]), select=select or (), cut=cut
            )
    except runs.NothingToRun as error:
        raise Refused(str(error), ExitCode.USAGE) from error


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{option}: expected a day such as 2017-03-31, not {text!r}", ExitCode.USAGE) from None


def _told(outcome: "Outcome") -> str:
    lines = [f"run {outcome.run_id} {'succeeded' if outcome.succeeded else 'FAILED'}"]
    if outcome.first:
        lines.append(f"days    {outcome.first} to {outcome.last}")
    lines.append(f"made    {', '.join(outcome.assets) or 'nothing'}")
    lines.append(f"checks  {len(outcome.held)} hold, {len(outcome.broken)} are broken")
    lines += [f"broken  {name}" for name in outcome.broken]
    lines += [f"failed  {name}" for name in outcome.failed_steps]
    return "\n".join(lines)
