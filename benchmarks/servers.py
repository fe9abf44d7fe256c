"""Servers of a measurement's own, removed after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import SecretBox
from adapters.settings import Settings


class Crashing:
    """A PostgreSQL that can be killed, and comes back on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = self._started(None)

    def crash(self) -> None:
        """SIGKILL it and all its processes, and start it again; returns when it answers."""
        self.server.kill()
        self.server = self._started(self.server.port)

    def _started(self, port: int | None) -> EmbeddedPostgres:
        return start_postgres(self._folder / "postgres", log=self._folder / "postgres.log", port=port)


@contextmanager
def crashing(folder: Path) -> Iterator[tuple[DatabaseUrls, Settings, Crashing]]:
    """Start a migrated PostgreSQL below a folder; yields its connections, its settings, and it."""
    settings, own = Settings(data_dir=folder), Crashing(folder)
    try:
        urls = DatabaseUrls.embedded(own.server.admin_url, SecretBox.of(settings))
        prepare(own.server.admin_url, urls)
        yield urls, settings, own
    finally:
        own.server.discard()


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[DatabaseUrls, Settings]]:
    """Start a migrated PostgreSQL below a folder; yields its connections and the settings that know its secrets."""
    with crashing(folder) as (urls, settings, _):
        yield urls, settings
