"""Everything Kairos runs on one data folder: the one way in which `kairos up`, the demo and the tests start it.

Leaving the ``with`` block stops all of it in reverse order, whatever happened inside, and frees the folder.
"""

import importlib.metadata
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.embedded import ports, run_file
from adapters.embedded.folder_lock import FolderLock
from adapters.embedded.postgres import start_postgres
from adapters.embedded.run_file import RunFile, RunningServer, RunningService
from adapters.embedded.valkey import start_valkey
from adapters.endpoints import Endpoints, resolve
from adapters.settings import Settings
from cli import dagster_home, data_folder, first_start, services
from cli.exit_codes import ExitCode, Refused
from cli.screen import Screen
from cli.services import Site
from cli.stop_request import StopRequest
from cli.supervisor import Supervisor

_TEMPLATE = services.ROOT / "deploy/dagster.yaml"


class Stack:
    """The servers and services of one data folder.

    ``first_key`` is the API key of tenant ``default`` when this start created it; it cannot be shown again.
    """

    def __init__(
        self, settings: Settings, *, screen: Screen, stop: StopRequest | None = None, free_ports: bool = False
    ) -> None:
        """Prepare to start; nothing runs before the ``with`` block.

        Args:
            settings: which folder, which ports, and which servers are yours.
            screen: where progress is shown.
            stop: asked between steps.
            free_ports: listen on any free ports instead of the settings'.
        """
        home = settings.data_dir.expanduser().absolute()
        self.settings = settings.model_copy(update={"data_dir": home})
        self.first_key: str | None = None
        self._screen = screen
        self._free_ports = free_ports
        request = StopRequest() if stop is None else stop
        self.supervisor = Supervisor(show=screen.show, stop_requested=lambda: request.was_asked)
        self._lock: FolderLock | None = None
        self._run: RunFile | None = None

    @property
    def home(self) -> Path:
        """The data folder, absolute."""
        return self.settings.data_dir

    @property
    def endpoints(self) -> Endpoints:
        """Where everything listens; valid once the servers are started."""
        return resolve(self.settings)

    def start_servers(self) -> Endpoints:
        """Start PostgreSQL and Valkey unless yours are named, migrate, and make sure of the first tenant.

        Raises:
            Refused: a port is in use.
            StartFailed: a server did not come up.
        """
        self._note(ports=self._choose_ports())
        if self.settings.postgres_url is None:
            self._start_postgres()
        if self.settings.redis_url is None:
            self._start_valkey()
        endpoints = self.endpoints
        self.first_key = first_start.prepare(self.settings, endpoints, self._admin_url())
        return endpoints

    def start_services(self, names: Sequence[str] = services.ALL) -> None:
        """Start services and wait until they are ready; those that run already are left alone.

        Raises:
            ChildDied: one ended, or was not ready in time.
            Stopped: a stop was asked for.
        """
        site = Site(self.settings, self.endpoints, self._run_file().ports)
        dagster_home.write(
            site.dagster_home,
            template=_TEMPLATE,
            postgres_url=site.endpoints.databases.dagster,
            code_port=site.ports[services.DAGSTER_CODE],
        )
        running = {row.name for row in self.supervisor.rows}
        wanted = [name for name in names if name not in running]
        if self.settings.mlflow_url is not None:
            wanted = [name for name in wanted if name != services.MLFLOW]
        self.supervisor.start(services.children(site, wanted))
        self._note_services()

    def watch(self) -> None:
        """Look after everything until a stop is asked for.

        Raises:
            ChildDied: a process ended by itself.
            Stopped: a stop was asked for.
        """
        while True:
            self.supervisor.pause()

    def close(self) -> None:
        """Stop everything that was started and free the folder; a second Ctrl-C kills what is left."""
        try:
            self.supervisor.stop()
        except KeyboardInterrupt:
            self.supervisor.stop(patience=0)
        finally:
            if self._lock:
                run_file.remove(self.home)
                self._lock.release()

    def __enter__(self) -> Self:
        self._lock = data_folder.take(self.home)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _choose_ports(self) -> dict[str, int]:
        free = iter(ports.free_ports(4))
        chosen = {services.DAGSTER_CODE: next(free)}
        for name in (services.API, "dagster", services.MLFLOW):
            chosen[name] = next(free) if self._free_ports else getattr(self.settings, f"{name}_port")
            if not ports.is_free(chosen[name]):
                what_to_do = f"stop that, set KAIROS_{name.upper()}_PORT, or start with --free-ports"
                raise Refused(f"{ports.PortInUse(chosen[name], name)}; {what_to_do}", ExitCode.PORT_IN_USE)
        return chosen

    def _run_file(self) -> RunFile:
        if self._run is None:
            version = importlib.metadata.version("kairos")
            self._run = RunFile.ours(started_at=datetime.now(UTC), version=version, mark=self.supervisor.mark)
        return self._run

    def _admin_url(self) -> str | None:
        if self.settings.postgres_url is None:
            embedded = self._run_file().postgres_admin_url
            return embedded.get_secret_value() if embedded else None
        if self.settings.postgres_admin_url is None:
            self._screen.say("KAIROS_POSTGRES_ADMIN_URL is not set: databases and schema are used as they are")
            return None
        return self.settings.postgres_admin_url.get_secret_value()

    def _start_postgres(self) -> None:
        log = self.home / "logs" / "postgres.log"
        server = start_postgres(self.home / data_folder.POSTGRES, log=log)
        self.supervisor.adopt("postgres", server, log)
        self._note(postgres=RunningServer(pid=server.pid, port=server.port, folder=server.folder, url=server.admin_url))

    def _start_valkey(self) -> None:
        log = self.home / "logs" / "valkey.log"
        server = start_valkey(self.home / data_folder.VALKEY, log=log)
        self.supervisor.adopt("valkey", server, log)
        self._note(valkey=RunningServer(pid=server.pid, port=server.port, folder=server.folder, url=server.url))

    def _note_services(self) -> None:
        rows = [row for row in self.supervisor.rows if row.child and row.process]
        self._note(services={row.name: RunningService(pid=row.process.pid) for row in rows if row.process})

    def _note(self, **changes: object) -> None:
        self._run = self._run_file().model_copy(update=changes)
        run_file.write(self.home, self._run)
