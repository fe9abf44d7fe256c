"""The ``kairos`` command: a list of names; each command lives in a module of its own name, loaded when it is used.

A module offers either a function of its name or, for several commands, a Typer application called ``app``.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli import exit_codes

if TYPE_CHECKING:
    from typer._click.core import Command, Context

SUMMARY_BY_COMMAND = {
    "up": "Start and supervise all servers and services, until Ctrl-C.",
    "status": "Show what runs, where, and how it is.",
    "demo": "Show the main job on real input, on servers of its own.",
    "ingest": "Store the events of files: JSON lines, CSV or Parquet.",
    "deadletters": "List what was received but is no event, and why.",
    "materialize": "Run the lineage, or part of it, for a range of days.",
    "policy": "Train, judge and apply a policy on a decision log of yours.",
    "simulate": "Let a made-up population live under a policy, and write its events.",
    "types": "Publish and list message types.",
    "preferences": "Take over what people chose in another system.",
    "tenants": "Create and list tenants, set a sandbox's clock.",
    "keys": "Issue and revoke API keys.",
    "rules": "List law and mailbox rules, and see what a change would alter.",
    "replay": "Make recorded decisions again, or ask what other rules would have changed.",
    "lineage": "Follow a decision back to its data, or data forward to decisions.",
    "compliance": "Report on duties and what an impact assessment needs.",
    "privacy": "Erase people, and show the receipts.",
    "audit": "Verify, sign and export the audit trail.",
    "clean": "Delete the data folder and everything kept outside for it.",
    "migrate": "Bring a PostgreSQL server of yours to the newest schema.",
    "docs": "Write the documents that are made from the code.",
}
"""Every command, in the order of the help; the summary is here so that the help loads nothing."""


class LazyCommands(TyperGroup):
    """Knows every command by name and loads the one that is called."""

    def list_commands(self, ctx: "Context") -> list[str]:  # noqa: ARG002 - the signature is typer's
        """Return the names, in the order of the help."""
        return list(SUMMARY_BY_COMMAND)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":  # noqa: ARG002
        """Return what the help needs to know; ``resolve_command`` loads the rest."""
        summary = SUMMARY_BY_COMMAND.get(cmd_name)
        return TyperCommand(cmd_name, help=summary) if summary else None

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """Load the command that is called."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, _load(found.name) if found and found.name else found, rest


_MODULES = {"types": "message_types"}
"""Commands whose module cannot have their name: a file called ``types`` says nothing."""


def _load(name: str) -> Any:
    module = importlib.import_module(f"cli.{_MODULES.get(name, name)}")
    group = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(add_completion=False)
        group.command(name)(getattr(module, name))
    return typer.main.get_command(group)


app = typer.Typer(
    cls=LazyCommands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Kairos decides whether, when, where and with what words a person is notified.",
)


@app.callback()
def kairos() -> None:
    """Kairos decides whether, when, where and with what words a person is notified."""


def main() -> None:
    """Run the command line; a failure we foresaw is one message and its code."""
    try:
        app()
    except Exception as error:
        code = exit_codes.of(error)
        if code is None:
            raise
        print(f"kairos: {error}", file=sys.stderr)
        sys.exit(code)


if __name__ == "__main__":
    main()
