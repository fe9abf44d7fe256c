"""``kairos deadletters``: what was received but is no event, where it came from and what was expected."""

import base64
import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.credential import session
from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.postgres.dead_letters import DeadLetter

SCOPE = "dead_letters:read"


def deadletters(
    *,
    since: Annotated[
        str | None, typer.Option(help="Only those received from then on, such as 2026-03-01T09:00Z.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line, with the bytes received.")] = False,
) -> None:
    """List the newest dead letters of the tenant whose key is in KAIROS_API_KEY."""
    from adapters.postgres.dead_letters import DeadLetters

    moment = _moment(since)
    with session(SCOPE) as opened:
        letters = DeadLetters(opened.database).newest(opened.tenant, actor=opened.actor, since=moment, limit=limit)
    for letter in letters:
        print(json.dumps(_document(letter)) if as_json else _line(letter))
    if not letters and not as_json:
        print("no dead letters")


def _moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused("--since: expected a moment with its offset, such as 2026-03-01T09:00:00Z", ExitCode.USAGE)
    return moment


def _line(letter: "DeadLetter") -> str:
    field = f" {letter.field}:" if letter.field else ""
    at = letter.received_at.isoformat(timespec="seconds")
    line = f"{at}  {letter.origin}:{letter.position}  {letter.reason}{field} expected {letter.expected}"
    # A field's name is the sender's: nothing in it may move the cursor or begin a line of its own.
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in line)


def _document(letter: "DeadLetter") -> dict[str, Any]:
    document = letter.model_dump(mode="json", exclude={"raw"})
    try:
        return document | {"raw": letter.raw.decode()}
    except UnicodeDecodeError:
        return document | {"raw_base64": base64.b64encode(letter.raw).decode()}
