"""``kairos ingest FILE...``: stores the events of files, each row with its own verdict, and balances the books.

It may be stopped at any point and repeated: what is stored is then a duplicate. A row that is no event becomes a dead
letter with file and line; a file that cannot be read at all is an error.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.credential import Session, session
from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from domain.event_mapping import EventMapping
    from domain.ingest import Counts

SCOPE = "events:write"
Progress = Callable[["Counts"], None]


def ingest(
    files: Annotated[list[Path], typer.Argument(help="JSON lines, CSV or Parquet files.", metavar="FILE...")],
    *,
    mapping: Annotated[Path | None, typer.Option(help="YAML that says how a row becomes an event.")] = None,
    source: Annotated[str | None, typer.Option(help="Source of the events, where rows do not name one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")] = False,
) -> None:
    """Store the events of files for the tenant whose key is in KAIROS_API_KEY."""
    plan = _plan(mapping, source)
    with session(SCOPE) as opened:
        counts_by_file = {str(path): _one(opened, path, plan, source, quiet=as_json) for path in files}
        books = _books(opened)
    _tell(counts_by_file, books, as_json=as_json)
    if books.imbalance:
        raise Refused(f"the books do not balance: {books.imbalance} items are unaccounted for")


def _plan(mapping: Path | None, source: str | None) -> "EventMapping | None":
    from adapters import mapping_file

    try:
        return mapping_file.load(mapping, source=source) if mapping is not None else None
    except mapping_file.BadMapping as error:
        raise Refused(str(error), ExitCode.USAGE) from None


def _one(opened: Session, path: Path, plan: "EventMapping | None", source: str | None, *, quiet: bool) -> "Counts":
    from adapters import event_files, event_import, legal_rule_files
    from adapters.postgres.engine import Unavailable
    from adapters.postgres.event_effects import EventEffects
    from adapters.postgres.events import EventLog

    effects = EventEffects(legal_rule_files.load(opened.settings.legal_rules))
    event_log = EventLog(opened.database, effects, retention=opened.settings.event_retention)
    try:
        rows = event_files.items(path, plan, source=source)
        with _progress(path, quiet=quiet) as progress:
            return event_import.run(event_log, opened.clock, opened.tenant, rows, origin=path.name, progress=progress)
    except event_files.UnreadableFile as error:
        raise Refused(str(error), ExitCode.USAGE) from None
    except Unavailable as error:
        told = f"{path}: {error}; what was counted is stored. Repeat the command: it will count as duplicate"
        raise Refused(told, ExitCode.NOT_RUNNING) from None


def _books(opened: Session) -> "Counts":
    from adapters.postgres.event_effects import EventEffects
    from adapters.postgres.events import EventLog

    event_log = EventLog(opened.database, EventEffects(), retention=opened.settings.event_retention)
    return event_log.conservation(opened.tenant.tenant)


@contextmanager
def _progress(path: Path, *, quiet: bool) -> Iterator[Progress]:
    """Show a bar on a terminal, a line for each commit elsewhere, nothing when the output is for a program."""
    if quiet:
        yield lambda _: None
    elif not sys.stderr.isatty():
        yield lambda counts: print(f"{path}: {sentence(counts)}", file=sys.stderr)
    else:
        with _bar(path) as progress:
            yield progress


@contextmanager
def _bar(path: Path) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from adapters.event_files import estimated_rows

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(path.name, total=estimated_rows(path))
        yield lambda counts: bar.update(task, completed=counts.received)


def _tell(counts_by_file: dict[str, "Counts"], books: "Counts", *, as_json: bool) -> None:
    if as_json:
        files = {name: counts.model_dump() for name, counts in counts_by_file.items()}
        print(json.dumps({"files": files, "books": books.model_dump() | {"imbalance": books.imbalance}}))
        return
    for name, counts in counts_by_file.items():
        print(f"{name}: {sentence(counts)}")
    print(f"in all, ever: {sentence(books)}")
    if any(counts.dead for counts in counts_by_file.values()):
        print("see what is dead, and why, with: kairos deadletters")


def sentence(counts: "Counts") -> str:
    """Return counts as the identity that must hold."""
    sign = "=" if counts.imbalance == 0 else "!="
    right = f"{counts.stored:,} stored + {counts.duplicate:,} duplicate + {counts.dead:,} dead"
    return f"{counts.received:,} received {sign} {right}"
