"""The service as a process, hosted as in production, that a test may kill."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import psutil

from adapters.embedded.ports import LOOPBACK, free_port
from adapters.listening import address
from adapters.settings import Settings, child_environment

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 180
SERVE = (sys.executable, "-m", "bentoml", "serve", "serving.service:KairosService")


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition; fail when it does not come true."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class ServiceProcess:
    """``bentoml serve`` of our service on one port, started again there as often as needed."""

    def __init__(self, settings: Settings, *, arguments: Sequence[str] = ("--host", LOOPBACK)) -> None:
        self.port = free_port()
        self.arguments = arguments
        self.log = settings.data_dir / "service.log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return address(self._settings, self.port)

    @property
    def process(self) -> psutil.Process:
        """The process that was started; the workers are its children."""
        assert self._process is not None, "it runs"
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*SERVE, *self.arguments, "--port", str(self.port)],
                cwd=ROOT,
                env=environment(self._settings),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(lambda: self.get("/healthz") == 200, f"the service answers; see {self.log}")

    def get(self, path: str) -> int:
        """Return the status of a GET, 0 when nobody answers."""
        try:
            # Whether the certificate is right is for a test to ask.
            return httpx.get(f"{self.url}{path}", timeout=5, trust_env=False, verify=False).status_code  # noqa: S501
        except httpx.TransportError:
            return 0

    def stop(self) -> None:
        """Ask it to end and wait until it has."""
        assert self._process is not None, "it runs"
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)
        self._process = None

    def kill(self) -> None:
        """SIGKILL it and its workers."""
        if self._process is None:
            return
        ours = [self.process, *self.process.children(recursive=True)]
        for process in ours:
            process.kill()
        self._process.wait()
        psutil.wait_procs(ours, timeout=10)
        self._process = None


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which the service has these settings."""
    fields = settings.model_dump(include=settings.model_fields_set)
    given = {
        f"KAIROS_{name.upper()}": str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
        for name, value in fields.items()
    }
    home = settings.data_dir / "bentoml"
    return child_environment(given | {"BENTOML_HOME": str(home), "PYTHONUNBUFFERED": "1"})
