"""Servers of a measurement's own, removed after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.embedded.postgres import start_postgres
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import SecretBox
from adapters.settings import Settings


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[DatabaseUrls, Settings]]:
    """Start a migrated PostgreSQL below a folder; yields its connections and the settings that know its secrets."""
    settings = Settings(data_dir=folder)
    with start_postgres(folder / "postgres", log=folder / "postgres.log") as server:
        urls = DatabaseUrls.embedded(server.admin_url, SecretBox.of(settings))
        prepare(server.admin_url, urls)
        yield urls, settings
        server.discard()
