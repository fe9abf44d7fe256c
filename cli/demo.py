"""``kairos demo``: the main job from real input to decisions with their reasons, on servers of its own.

It works in a folder beside the data folder, from nothing each time, and takes free ports, so that it disturbs
nothing. Its last output line is one JSON object. Exit codes: 0 shown, 1 something failed, 2 there is no input.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import demo_keep

if TYPE_CHECKING:
    from adapters.settings import Settings
    from cli.demo_input import DemoInput
    from cli.stack import Stack

FOLDER_SUFFIX = "-demo"


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running when done.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what --keep left running.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="Folder with the input's Parquet files.")] = None,
    hold: Annotated[bool, typer.Option("--hold", hidden=True)] = False,
) -> None:
    """Load real input, train, serve, and show a send, a refusal and a deferral with their reasons."""
    from adapters.settings import load_settings
    from cli.demo_input import DemoInput

    if stop:
        demo_keep.stop(demo_folder(load_settings()))
        return
    given = DemoInput.find(data)
    settings = demo_settings(load_settings(), given)
    if keep:
        demo_keep.start(settings.data_dir, data)
        return
    result = _run(settings, given, hold=hold)
    if not hold:
        print(json.dumps(result))


def _run(settings: "Settings", given: "DemoInput", *, hold: bool) -> dict[str, Any]:
    from cli.data_folder import delete
    from cli.screen import Screen
    from cli.stack import Stack
    from cli.stop_request import StopRequest
    from cli.supervisor import Stopped

    delete(settings.data_dir)
    with StopRequest() as stop, Screen() as screen, Stack(settings, screen=screen, stop=stop, free_ports=True) as stack:
        result = Demo(stack, given, screen.say).run()
        if hold:
            print(json.dumps(result), flush=True)
            with suppress(Stopped):
                stack.watch()
    # The screen is closed by now, so that nothing follows the last line.
    return result


def demo_folder(settings: "Settings") -> Path:
    """Return the demo's own data folder, beside the one of the settings."""
    folder = settings.data_dir.expanduser().absolute()
    return folder.with_name(folder.name + FOLDER_SUFFIX)


def demo_settings(settings: "Settings", given: "DemoInput") -> "Settings":
    """Return the settings of the demo: its own folder and servers, and the days its input has."""
    from adapters.settings import Settings

    return Settings(
        data_dir=demo_folder(settings),
        first_partition_date=given.first_day.isoformat(),
        last_partition_date=given.last_whole_day.isoformat(),
    )


class Demo:
    """The steps of the demo, each timed and told."""

    def __init__(self, stack: "Stack", given: "DemoInput", say: Callable[[str], None]) -> None:
        self._stack = stack
        self._given = given
        self._say = say
        self._step = 0

    def run(self) -> dict[str, Any]:
        """Go from an empty folder to three decisions; return what the last line says."""
        from cli import demo_input, demo_lineage, services
        from cli.demo_show import show

        with self._telling("Starting PostgreSQL and Valkey"):
            endpoints = self._stack.start_servers()
        with self._telling("Loading real events, profiles and (invented) consents"):
            loaded = demo_input.load(self._stack.settings, endpoints, self._given, self._say)
        with self._telling("Starting MLflow"):
            self._stack.start_services([services.MLFLOW])
        with self._telling("Materializing the asset graph: events, checks, features, model, gate, segments"):
            holdout = demo_lineage.materialize(self._stack, self._given, self._say)
        with self._telling("Starting the decision service, relay and consumer, and Dagster's pages"):
            self._stack.start_services()
        with self._telling("Asking for decisions"):
            sent, decisions = show(self._stack, self._given, loaded, self._say)
        self._tell_pages()
        kept = ("decision_id", "outcome", "channel", "action_probability", "versions", "reason")
        counts = {"events": loaded.events, "recipients": loaded.recipients, "decisions": decisions}
        return {name: sent[name] for name in kept} | {"counts": counts, "holdout": holdout}

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        self._step += 1
        self._say(f"\n[{self._step}/6] {what}")
        began = time.monotonic()
        yield
        self._say(f"      done in {time.monotonic() - began:.0f} s")

    def _tell_pages(self) -> None:
        where = self._stack.endpoints
        self._say(f"\nAPI page {where.api_url}\nDagster  {where.dagster_url}\nMLflow   {where.mlflow_url}")
