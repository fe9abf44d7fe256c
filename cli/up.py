"""``kairos up``: runs and supervises everything on this machine until it is told to stop.

Exit codes: 0 stopped on request, 1 a process did not start or died, 3 already running, 4 a port is in use, 5 the
data folder cannot be used.
"""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.stack import Stack


def up(
    *,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Listen on free ports, not the settings'.")] = False,
    servers_only: Annotated[
        bool, typer.Option("--servers-only", help="Start PostgreSQL and Valkey, no service.")
    ] = False,
) -> None:
    """Start and supervise all servers and services, until Ctrl-C."""
    from adapters.settings import load_settings
    from cli.screen import Screen
    from cli.stack import Stack
    from cli.stop_request import StopRequest
    from cli.supervisor import Stopped

    settings = load_settings()
    with StopRequest() as stop, Screen() as screen:
        try:
            with Stack(settings, screen=screen, stop=stop, free_ports=free_ports) as stack:
                if not servers_only:
                    stack.require_ports()
                stack.start_servers()
                if stack.first_key:
                    screen.say(f"API key of tenant default, shown this once: {stack.first_key}")
                if not servers_only:
                    stack.start_services()
                    _tell_pages(screen, stack)
                screen.say(f"Kairos is up on {stack.home}; Ctrl-C stops it")
                stack.watch()
        except Stopped:
            screen.say("Kairos has stopped; its data is kept")


def _tell_pages(screen: "Screen", stack: "Stack") -> None:
    where = stack.endpoints
    screen.say(f"API      {where.api_url}\nDagster  {where.dagster_url}\nMLflow   {where.mlflow_url}")
