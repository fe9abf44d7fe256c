"""``kairos status``: what runs on this data folder, where it listens, and whether it is well.

Exit codes: 0 everything is well, 1 something is not, 6 nothing runs.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.embedded.run_file import RunFile

HEALTH_PATH = {"api": "/readyz", "mlflow": "/health", "dagster-web": "/server_info"}
"""Where a service that serves says how it is."""


@dataclass(frozen=True)
class Health:
    """One process; ``is_well`` is its own answer where it gives one, else that it is alive."""

    name: str
    pid: int
    port: int | None
    url: str | None
    is_well: bool


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False
) -> None:
    """Show what runs, where, and how it is."""
    from adapters.embedded import run_file
    from adapters.settings import load_settings

    home = load_settings().data_dir.expanduser().absolute()
    run = run_file.read(home)
    if run is None:
        raise Refused(f"nothing runs on {home}; start it with: kairos up", ExitCode.NOT_RUNNING)
    if not run.owner_is_alive:
        message = f"nothing runs on {home}: its last owner, process {run.pid}, died; start it with: kairos up"
        raise Refused(message, ExitCode.NOT_RUNNING)
    found = list(survey(home, run))
    typer.echo(_as_json(home, run, found) if as_json else _as_text(home, run, found))
    if not all(health.is_well for health in found):
        raise typer.Exit(ExitCode.FAILED)


def survey(home: Path, run: "RunFile") -> Iterator[Health]:
    """Ask every process of a running stack how it is."""
    for name, server in (("postgres", run.postgres), ("valkey", run.valkey)):
        if server:
            from adapters.embedded.ports import answers

            yield Health(name, server.pid, server.port, None, answers(server.port))
    for name, service in run.services.items():
        port = run.ports.get("dagster" if name == "dagster-web" else name)
        url = f"http://127.0.0.1:{port}" if port and name in HEALTH_PATH else None
        if name == "api":
            url = run.api_url or url
        yield Health(name, service.pid, port, url, _is_well(home, name, service.pid, url))


def _is_well(home: Path, name: str, pid: int, url: str | None) -> bool:
    import psutil

    from adapters import heartbeat
    from cli.readiness import is_working, status_of

    if url is not None:
        return status_of(url + HEALTH_PATH[name]) == HTTPStatus.OK
    beat = heartbeat.read(home, name)
    return psutil.pid_exists(pid) if beat is None else is_working(beat, pid)


def _as_json(home: Path, run: "RunFile", found: list[Health]) -> str:
    facts = {"data_dir": str(home), "pid": run.pid, "version": run.version, "started_at": run.started_at.isoformat()}
    return json.dumps({**facts, "processes": [asdict(health) for health in found]})


def _as_text(home: Path, run: "RunFile", found: list[Health]) -> str:
    lines = [f"Kairos {run.version} on {home}, process {run.pid}, since {run.started_at:%Y-%m-%d %H:%M:%S} UTC"]
    for health in found:
        where = health.url or (f"127.0.0.1:{health.port}" if health.port else "")
        how = "well" if health.is_well else "NOT WELL"
        lines.append(f"{health.name:<15} {how:<9} pid {health.pid:<8} {where}".rstrip())
    return "\n".join(lines)
