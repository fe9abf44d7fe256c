"""Where everything is: the servers you named in the environment, or the embedded ones of this data folder.

One object answers for every program, so that no code asks again whether a server is embedded.
"""

from dataclasses import dataclass

from adapters import listening
from adapters.embedded import run_file
from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import SecretBox
from adapters.settings import Settings


class NotRunning(RuntimeError):
    """Neither the environment nor the data folder names a server."""


@dataclass(frozen=True)
class Endpoints:
    """The addresses of the servers."""

    databases: DatabaseUrls
    redis_url: str
    mlflow_url: str
    dagster_url: str
    api_url: str


def resolve(settings: Settings) -> Endpoints:
    """Return the addresses for these settings.

    Raises:
        NotRunning: a server is neither named in the environment nor running embedded.
    """
    running = run_file.live(settings.data_dir)
    if running is not None and not running.owner_is_alive:
        # Its ports may be somebody else's by now.
        running = None
    ports = running.ports if running is not None else {}
    return Endpoints(
        databases=_databases(settings, running),
        redis_url=_redis(settings, running),
        mlflow_url=settings.mlflow_url or _loopback(ports.get("mlflow", settings.mlflow_port)),
        dagster_url=_loopback(ports.get("dagster", settings.dagster_port)),
        api_url=(running and running.api_url) or listening.address(settings, ports.get("api", settings.api_port)),
    )


def _databases(settings: Settings, running: run_file.RunFile | None) -> DatabaseUrls:
    box = SecretBox.of(settings)
    if settings.postgres_url is not None:
        return DatabaseUrls.external(settings.postgres_url.get_secret_value(), box)
    if running is None or running.postgres_admin_url is None:
        raise NotRunning(_MESSAGE.format(variable="KAIROS_POSTGRES_URL", server="PostgreSQL", folder=settings.data_dir))
    return DatabaseUrls.embedded(running.postgres_admin_url.get_secret_value(), box)


def _redis(settings: Settings, running: run_file.RunFile | None) -> str:
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    if running is None or running.redis_url is None:
        raise NotRunning(_MESSAGE.format(variable="KAIROS_REDIS_URL", server="Valkey", folder=settings.data_dir))
    return running.redis_url.get_secret_value()


def _loopback(port: int) -> str:
    return f"http://127.0.0.1:{port}"


_MESSAGE = "{variable} is not set and no embedded {server} runs for {folder}; start one with: kairos up"
