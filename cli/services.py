"""The services of Kairos as processes: how each is started, where it listens, when it is ready.

Everything listens on loopback, the API elsewhere too if it may (adapters/listening.py); no password stands on a command
line, and every package's telemetry is off.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.embedded.ports import LOOPBACK
from adapters.endpoints import Endpoints
from adapters.listening import Listening, address
from adapters.settings import Settings, child_environment
from cli.child import Child
from cli.readiness import Ready, answers, beats, logged

ROOT = Path(__file__).parents[1]
"""The checkout: programs are modules of it and are started in it."""
MLFLOW = "mlflow"
DAGSTER_CODE = "dagster-code"
DAGSTER_WEB = "dagster-web"
DAGSTER_DAEMON = "dagster-daemon"
API = "api"
RELAY = "relay"
CONSUMER = "consumer"
SEALER = "sealer"
ANNOUNCER = "announcer"
ERASER = "eraser"
DELIVERER = "deliverer"
SCHEDULER = "scheduler"
LEARNER = "learner"
BY_PORT = {"api": API, "dagster": DAGSTER_WEB, "mlflow": MLFLOW, "dagster-code": DAGSTER_CODE}
"""The service that listens on each port of the run file."""
ALL = (
    MLFLOW,
    DAGSTER_CODE,
    DAGSTER_WEB,
    DAGSTER_DAEMON,
    API,
    RELAY,
    CONSUMER,
    SEALER,
    ANNOUNCER,
    ERASER,
    DELIVERER,
    SCHEDULER,
    LEARNER,
)
_PLAIN_LOG = ("--log-format", "json")  # the default colours lines even in a file
DAGSTER = (DAGSTER_CODE, DAGSTER_WEB, DAGSTER_DAEMON)


@dataclass(frozen=True)
class Site:
    """What the services of one data folder share."""

    settings: Settings
    endpoints: Endpoints
    ports: Mapping[str, int]

    @property
    def home(self) -> Path:
        """The data folder, absolute."""
        return self.settings.data_dir

    @property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance."""
        return self.home / "dagster"


def children(site: Site, names: Sequence[str]) -> list[Child]:
    """Return the processes of these services, in the order they are listed in ``ALL``."""
    makers = {
        MLFLOW: _mlflow,
        DAGSTER_CODE: _dagster_code,
        DAGSTER_WEB: _dagster_web,
        DAGSTER_DAEMON: _dagster_daemon,
        API: _api,
        RELAY: _relay,
        CONSUMER: _consumer,
        SEALER: _sealer,
        ANNOUNCER: _announcer,
        ERASER: _eraser,
        DELIVERER: _deliverer,
        SCHEDULER: _scheduler,
        LEARNER: _learner,
    }
    return [makers[name](site) for name in ALL if name in names]


def environment(site: Site, **extra: str) -> dict[str, str]:
    """Return the environment of a process of ours: these very settings, whatever our own environment says."""
    fields = site.settings.model_dump(include=site.settings.model_fields_set - {"data_dir"}, mode="python")
    given = {f"KAIROS_{name.upper()}": _text(value) for name, value in fields.items() if value is not None}
    return child_environment({**given, "KAIROS_DATA_DIR": str(site.home), "PYTHONUNBUFFERED": "1", **extra})


def _text(value: object) -> str:
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal() if reveal else value)


def _mlflow(site: Site) -> Child:
    port = site.ports[MLFLOW]
    artifacts = site.home / "mlartifacts"
    artifacts.mkdir(exist_ok=True)
    return _child(
        site,
        MLFLOW,
        ["mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"],
        answers(f"http://{LOOPBACK}:{port}/health"),
        port=port,
        env={
            "MLFLOW_BACKEND_STORE_URI": site.endpoints.databases.mlflow,
            "MLFLOW_ARTIFACTS_DESTINATION": artifacts.as_uri(),
        },
    )


def _dagster_code(site: Site) -> Child:
    """One server of the definitions for page and daemon, where each would otherwise start its own."""
    port = site.ports[DAGSTER_CODE]
    return _child(
        site,
        DAGSTER_CODE,
        ["dagster", "code-server", "start", "-m", "orchestration.definitions", *_listen(port)],
        logged("Started Dagster code proxy server"),
        port=port,
        env={"DAGSTER_HOME": str(site.dagster_home)},
    )


def _dagster_web(site: Site) -> Child:
    port = site.ports["dagster"]
    workspace = str(site.dagster_home / "workspace.yaml")
    return _child(
        site,
        DAGSTER_WEB,
        ["dagster_webserver", "-w", workspace, *_listen(port)],
        answers(f"http://{LOOPBACK}:{port}/server_info"),
        port=port,
        after=(DAGSTER_CODE,),
        env={"DAGSTER_HOME": str(site.dagster_home)},
    )


def _dagster_daemon(site: Site) -> Child:
    return _child(
        site,
        DAGSTER_DAEMON,
        ["dagster._daemon", "run", "-w", str(site.dagster_home / "workspace.yaml"), *_PLAIN_LOG],
        logged("Instance is configured with the following daemons"),
        after=(DAGSTER_CODE,),
        env={"DAGSTER_HOME": str(site.dagster_home)},
    )


def _listen(port: int) -> list[str]:
    return ["-h", LOOPBACK, "-p", str(port), *_PLAIN_LOG]


def _api(site: Site) -> Child:
    port, listening = site.ports[API], Listening.of(site.settings)
    where = ["--host", str(listening.host), "--port", str(port)]
    if listening.certificate is not None:
        where += ["--ssl-certfile", str(listening.certificate), "--ssl-keyfile", str(listening.key)]
    return _child(
        site,
        API,
        ["bentoml", "serve", "serving.service:KairosService", *where],
        answers(f"{address(site.settings, port)}/healthz"),
        port=port,
        env={"BENTOML_HOME": str(site.home / "bentoml")},
    )


def _relay(site: Site) -> Child:
    return _child(site, RELAY, ["serving.relay"], beats(site.home, RELAY))


def _consumer(site: Site) -> Child:
    return _child(site, CONSUMER, ["serving.consumer"], beats(site.home, CONSUMER))


def _sealer(site: Site) -> Child:
    return _child(site, SEALER, ["serving.sealer"], beats(site.home, SEALER))


def _announcer(site: Site) -> Child:
    return _child(site, ANNOUNCER, ["serving.announcer"], beats(site.home, ANNOUNCER))


def _eraser(site: Site) -> Child:
    return _child(site, ERASER, ["serving.eraser"], beats(site.home, ERASER))


def _deliverer(site: Site) -> Child:
    return _child(site, DELIVERER, ["serving.deliverer"], beats(site.home, DELIVERER))


def _scheduler(site: Site) -> Child:
    return _child(site, SCHEDULER, ["serving.scheduler"], beats(site.home, SCHEDULER))


def _learner(site: Site) -> Child:
    return _child(site, LEARNER, ["serving.learner"], beats(site.home, LEARNER))


def _child(
    site: Site,
    name: str,
    module: Sequence[str],
    ready: Ready,
    *,
    port: int | None = None,
    after: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> Child:
    return Child(
        name=name,
        argv=[sys.executable, "-m", *module],
        env=environment(site, **(env or {})),
        cwd=ROOT,
        log=site.home / "logs" / f"{name}.log",
        ready=ready,
        after=after,
        port=port,
    )
