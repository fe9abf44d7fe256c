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
from adapters.listening import Listening, address
from adapters.settings import Settings
from cli import dagster_home, data_folder, first_start, services
from cli.exit_codes import ExitCode, Refused
from cli.screen import Screen
from cli.services import Site
from cli.stop_request import StopRequest
from cli.supervisor import Supervisor

_POSTGRES, _VALKEY = "postgres", "valkey"
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
    def run(self) -> RunFile:
        """What runs now, as other programs read it from the folder."""
        if self._run is None:
            version = importlib.metadata.version("kairos")
            self._run = RunFile.ours(started_at=datetime.now(UTC), version=version, mark=self.supervisor.mark)
        return self._run

    @property
    def endpoints(self) -> Endpoints:
        """Where everything listens; valid once the servers are started."""
        return resolve(self.settings)

    def start_servers(self) -> Endpoints:
        """Start PostgreSQL and Valkey unless yours are named, migrate, and make sure of the first tenant.

        A server that runs is left alone; one that was killed comes back on its port.

        Raises:
            StartFailed: a server did not come up.
        """
        running = {row.name for row in self.supervisor.rows}
        if self.settings.postgres_url is None and _POSTGRES not in running:
            self._start_postgres()
        if self.settings.redis_url is None and _VALKEY not in running:
            self._start_valkey()
        endpoints = self.endpoints
        self.first_key = first_start.prepare(self.settings, endpoints, self._admin_url()) or self.first_key
        return endpoints

    def start_services(self, names: Sequence[str] = services.ALL) -> None:
        """Start services and wait until they are ready; those that run already are left alone.

        Raises:
            Refused: a port is in use.
            ChildDied: one ended, or was not ready in time.
            Stopped: a stop was asked for.
        """
        site = Site(self.settings, self.endpoints, self.run.ports)
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
        self.require_ports(wanted)
        self.supervisor.start(services.children(site, wanted))
        self._note_services()

    def require_ports(self, names: Sequence[str] = services.ALL) -> None:
        """Make sure that services can listen where they should; ask before starting anything, to fail at once.

        Raises:
            Refused: a port is in use, or not ours to take; the message names it.
        """
        for name, port in self.run.ports.items():
            if services.BY_PORT[name] in names:
                _require_free(name, port, str(self.settings.api_host) if name == services.API else ports.LOOPBACK)

    def watch(self) -> None:
        """Look after everything until a stop is asked for.

        Raises:
            ChildDied: a process ended by itself.
            Stopped: a stop was asked for.
        """
        while True:
            self.supervisor.pause()

    def kill(self, name: str) -> None:
        """SIGKILL a service or a server with all its processes, as a crash would; start it again afterwards."""
        self.supervisor.kill(name)

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

    def discard(self) -> None:
        """Stop everything and delete the data folder, and what is kept outside for it."""
        self.close()
        data_folder.delete(self.home)

    def __enter__(self) -> Self:
        """Take the folder.

        Raises:
            BadSettings: the API may not listen where it is told to.
            Refused: the folder cannot be used.
        """
        Listening.of(self.settings)
        self._lock = data_folder.take(self.home)
        chosen = self._choose_ports()
        self._note(ports=chosen, api_url=address(self.settings, chosen[services.API]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _choose_ports(self) -> dict[str, int]:
        free = dict(zip(services.BY_PORT, ports.free_ports(len(services.BY_PORT)), strict=True))
        if self._free_ports:
            return free
        named = {name: getattr(self.settings, f"{name}_port") for name in ("api", "dagster", "mlflow")}
        return free | named

    def _admin_url(self) -> str | None:
        if self.settings.postgres_url is None:
            embedded = self.run.postgres_admin_url
            return embedded.get_secret_value() if embedded else None
        if self.settings.postgres_admin_url is None:
            self._screen.say("KAIROS_POSTGRES_ADMIN_URL is not set: databases and schema are used as they are")
            return None
        return self.settings.postgres_admin_url.get_secret_value()

    def _start_postgres(self) -> None:
        log = self.home / "logs" / "postgres.log"
        port = self.run.postgres.port if self.run.postgres else None
        server = start_postgres(self.home / data_folder.POSTGRES, log=log, port=port)
        self.supervisor.adopt(_POSTGRES, server, log)
        self._note(postgres=RunningServer(pid=server.pid, port=server.port, folder=server.folder, url=server.admin_url))

    def _start_valkey(self) -> None:
        log = self.home / "logs" / "valkey.log"
        port = self.run.valkey.port if self.run.valkey else None
        server = start_valkey(self.home / data_folder.VALKEY, log=log, port=port)
        self.supervisor.adopt(_VALKEY, server, log)
        self._note(valkey=RunningServer(pid=server.pid, port=server.port, folder=server.folder, url=server.url))

    def _note_services(self) -> None:
        rows = [row for row in self.supervisor.rows if row.child and row.process]
        self._note(services={row.name: RunningService(pid=row.process.pid) for row in rows if row.process})

    def _note(self, **changes: object) -> None:
        self._run = self.run.model_copy(update=changes)
        run_file.write(self.home, self._run)


def _require_free(name: str, port: int, host: str) -> None:
    what_to_do = f"set KAIROS_{name.upper()}_PORT, or start with --free-ports"
    try:
        if ports.is_free(port, host):
            return
    except PermissionError:
        message = f"port {port} on {host}, wanted by {name}, is reserved for root; {what_to_do}"
        raise Refused(message, ExitCode.PORT_IN_USE) from None
    except OSError as error:
        raise Refused(f"{name} cannot listen on {host}: {error.strerror}", ExitCode.USAGE) from None
    raise Refused(f"{ports.PortInUse(port, name, host)}; stop that, {what_to_do}", ExitCode.PORT_IN_USE)
