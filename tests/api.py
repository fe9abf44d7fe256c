"""The API on a loopback port, as a client meets it: a real HTTP server around the application, in a thread."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import KEY_FILE, SecretBox
from adapters.settings import Settings
from serving.http.app import build_app
from serving.parts import Parts

KEYS = f"test:{'5' * 64}"
"""The key-encryption keys of every installation on the tests' PostgreSQL."""
NOBODY_LISTENS = "127.0.0.1:1"

START_SECONDS = 30


@contextlib.contextmanager
def serve(open_parts: Callable[[], AbstractContextManager[Parts]]) -> Iterator[httpx.Client]:
    """Run the application on a free port and yield a client of it."""
    config = uvicorn.Config(
        build_app(open_parts), port=0, log_config=None, access_log=False, ws="none", lifespan="on", loop="asyncio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waited = threading.Event()
    for _ in range(START_SECONDS * 100):
        if server.started or not thread.is_alive():
            break
        waited.wait(0.01)
    assert server.started, "the application did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def settings_for(folder: Path, databases: DatabaseUrls, box: SecretBox, **changes: Any) -> Settings:
    """Return the settings of a service on the tests' PostgreSQL, whose other servers are all down."""
    (folder / KEY_FILE).write_text(box._master.hex())
    given = {
        "data_dir": folder,
        "postgres_url": databases.app,
        "redis_url": f"redis://{NOBODY_LISTENS}",
        "key_encryption_keys": KEYS,
        "mlflow_url": f"http://{NOBODY_LISTENS}",
        # A slow machine is no PostgreSQL that is away; tests of that say how long they wait.
        "decision_postgres_ms": 20_000,
        "pulse_ms": 20_000,
    }
    return Settings.model_validate(given | changes)
