"""``kairos preferences import FILE``: takes over what people chose in another system, with a verdict on every row.

It may be stopped at any point and repeated: what is stored is then present. Exit codes: 0 done, 1 a row was refused,
2 the file or the key is wrong, 6 the servers do not run.
"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.credential import Session, session
from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from domain.values import Channel

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Take over preferences from another system.")
WRITE = "preferences:write"
EVERY = 1_000
COUNTS = ("denied", "allowed", "present", "kept_back")


class Source(StrEnum):
    """Whose preferences can be read."""

    KNOCK = "knock"
    NOVU = "novu"
    CSV = "csv"


@app.callback()
def preferences() -> None:
    """Take over preferences from another system."""


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="JSON lines, a JSON array, or CSV with a header.")],
    *,
    source: Annotated[Source, typer.Option("--from", help="Which system wrote the file.")],
    tenant: Annotated[str | None, typer.Option(help="Refuse unless KAIROS_API_KEY is of this tenant.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="What a channel is here, as ID=email; repeatable.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each row; store nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each row, and a last one.")
    ] = False,
) -> None:
    """Import preferences. A denial always counts; an allow only where nothing was said; consent is never granted."""
    from adapters import preference_files
    from adapters.postgres.engine import Unavailable

    channels = _channels(channel or [])
    with session(WRITE) as opened:
        if tenant is not None and tenant != opened.tenant.tenant:
            raise Refused(f"the key in KAIROS_API_KEY is not of tenant {tenant}", ExitCode.USAGE)
        try:
            totals = _run(opened, file, source, channels, is_trial=dry_run, as_json=as_json)
        except preference_files.UnreadableFile as error:
            raise Refused(str(error), ExitCode.USAGE) from None
        except Unavailable as error:
            raise Refused(
                f"{error}; repeat the command: what is stored counts as present", ExitCode.NOT_RUNNING
            ) from None
    _tell(totals, is_trial=dry_run, as_json=as_json)
    if totals["refused"]:
        raise Refused(f"{totals['refused']} rows were refused; see above")


def _run(
    opened: Session, file: Path, source: Source, channels: dict[str, "Channel"], *, is_trial: bool, as_json: bool
) -> dict[str, int]:
    from adapters import preference_files
    from adapters.postgres.preference_import import PreferenceImport, RowResult
    from domain.preference_imports import MAPPINGS, Unreadable

    store = PreferenceImport(opened.database)
    totals = dict.fromkeys(("rows", *COUNTS, "refused"), 0)
    for position, row in preference_files.rows(file, source):
        recipient_id = None
        try:
            mapped = MAPPINGS[source](row, channels)
            recipient_id, now = mapped.recipient_id, opened.clock.now(opened.tenant)
            result = store.store(opened.tenant, mapped, actor=opened.actor, now=now, is_trial=is_trial)
        except Unreadable as error:
            result = RowResult(refused=str(error))
        totals["rows"] += 1
        totals["refused"] += result.refused is not None
        for name in COUNTS:
            totals[name] += getattr(result, name)
        _tell_row(position, recipient_id, vars(result), as_json=as_json)
        if position % EVERY == 0:
            print(f"{file}: {position:,} rows", file=sys.stderr)
    return totals


def _channels(given: list[str]) -> dict[str, "Channel"]:
    from domain.values import Channel

    found = {}
    for each in given:
        name, _, ours = each.rpartition("=")
        if not name or ours not in set(Channel):
            raise Refused(f"--channel must be ID=CHANNEL with one of {', '.join(Channel)}", ExitCode.USAGE)
        found[name] = Channel(ours)
    return found


def _tell_row(position: int, recipient_id: str | None, result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"row": position, "recipient_id": recipient_id} | result))
    elif result["refused"]:
        print(f"row {position}: refused: {result['refused']}")
    else:
        for note in result["notes"]:
            print(f"row {position}: {note}")


def _tell(totals: dict[str, int], *, is_trial: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"totals": totals, "dry_run": is_trial}))
        return
    counts = ", ".join(f"{totals[name]:,} {name.replace('_', ' ')}" for name in (*COUNTS, "refused"))
    print(f"{totals['rows']:,} rows{' (nothing was stored)' if is_trial else ''}: {counts}")
