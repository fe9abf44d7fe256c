"""``kairos types``: publishes message types from YAML files, and lists those in force.

Exit codes: 0 done, 2 a file holds no message type or the key is wrong, 6 the servers do not run.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.credential import session
from cli.exit_codes import ExitCode, Refused

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Publish and list message types.")
READ, WRITE = "types:read", "types:write"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")]


@app.command()
def apply(
    path: Annotated[Path, typer.Argument(help="A YAML file with a message type, or a folder of such files.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Publish a new version of every type whose content changed."""
    from adapters import message_type_files
    from adapters.postgres.message_types import MessageTypes

    try:
        definitions = message_type_files.load(path)
    except message_type_files.BadTypeFile as error:
        raise Refused(str(error), ExitCode.USAGE) from None
    with session(WRITE) as opened:
        published = MessageTypes(opened.database).publish(opened.tenant, definitions, actor=opened.actor)
    versions = {each.definition.type: each.version for each in published}
    unchanged = sorted({each.type for each in definitions} - set(versions))
    if as_json:
        print(json.dumps({"published": versions, "unchanged": unchanged}))
        return
    for name, version in versions.items():
        print(f"published {name} version {version}")
    for name in unchanged:
        print(f"unchanged {name}")


@app.command("list")
def list_types(*, as_json: AsJson = False) -> None:
    """List the message types in force."""
    from adapters.postgres.message_types import MessageTypes

    with session(READ) as opened:
        known = MessageTypes(opened.database).all(opened.tenant)
    if as_json:
        print(json.dumps([each.definition.document() | {"version": each.version} for each in known]))
        return
    for each in known:
        definition = each.definition
        channels = ", ".join(definition.channels)
        print(f"{definition.type:<24} version {each.version:<4} {definition.message_class:<14} {channels}")
