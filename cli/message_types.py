"""``kairos types``: publishes message types from YAML files, and lists those in force.

Exit codes: 0 done, 1 lint found an error, 2 a file holds no message type or the key is wrong, 6 the servers do not run.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.credential import session
from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from domain.content_lint import BrandRules
    from domain.message_types import MessageType
    from domain.text_reading import Reader

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
    from adapters.postgres.brand_rules import BrandBook
    from adapters.postgres.message_types import MessageTypes
    from adapters.text_reader import TextReader

    try:
        definitions = message_type_files.load(path)
    except message_type_files.BadTypeFile as error:
        raise Refused(str(error), ExitCode.USAGE) from None
    with session(WRITE) as opened:
        brand = BrandBook(opened.database).get(opened.tenant).document
        _refuse_off_brand(definitions, brand, TextReader())
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


def _refuse_off_brand(definitions: "list[MessageType]", brand: "BrandRules", reader: "Reader") -> None:
    """Refuse all types when one breaks the tenant's brand rules, and tell of those that do not sound like it."""
    from domain import type_lint

    for definition in definitions:
        found = type_lint.of_type(definition, brand, reader if brand.tone is not None else None)
        if wrong := [each for each in found if each.is_error]:
            raise Refused(f"{definition.type}: {wrong[0]}", ExitCode.USAGE)
        for each in found:
            if each.code == type_lint.BRAND_TONE:
                typer.echo(f"warning: {definition.type}: {each}", err=True)


@app.command()
def lint(
    path: Annotated[Path, typer.Argument(help="A YAML file with a message type, or a folder of such files.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what is wrong with message types, filled with sample values; nothing is published, no server is asked."""
    from adapters import message_type_files
    from adapters.text_reader import TextReader
    from domain import type_lint

    try:
        read = message_type_files.read(path)
    except message_type_files.BadTypeFile as error:
        raise Refused(str(error), ExitCode.USAGE) from None
    found = {str(file): type_lint.of_type(definition, reader=TextReader()) for file, definition in read}
    errors = sum(each.is_error for listed in found.values() for each in listed)
    if as_json:
        told = {file: [each.model_dump() for each in listed] for file, listed in found.items()}
        print(json.dumps({"files": told, "errors": errors}))
    else:
        for file, listed in found.items():
            for each in listed:
                print(f"{file}: {'error' if each.is_error else 'warning'}: {each}")
        print(f"{errors} errors, {sum(map(len, found.values())) - errors} warnings in {len(found)} files")
    if errors:
        raise typer.Exit(_FOUND)


_FOUND = 1


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
