"""The served API under schemathesis, all phases, one run for each role, on a PostgreSQL and a Valkey started for it.

Server errors, answers that the document does not tell of, and operations that nobody reached with a 2xx are failures:
the exit code is then 1. ``--json`` prints one object on the last line.
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from adapters.embedded.postgres import start_postgres
from adapters.embedded.valkey import start_valkey
from adapters.keyring import Keyring
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from benchmarks.arguments import parsed
from serving.wiring import open_parts
from tests.api import KEYS, serve, settings_for
from tests.api_fuzz import Found, callers, prepared

LEAST_REACHED = 0.9
"""Share of the operations that some role must reach with a 2xx; below it a green run may have tested nothing."""
UNLIMITED = {f"rate_limit_{level}_per_minute": 0 for level in ("key", "route", "tenant")}


def main() -> None:
    """Run and print."""
    asked = parsed(
        __doc__,
        examples=(500, "examples for each operation and phase"),
        seconds=(1_800, "longest run of one role"),
        seed=(1, "of what is made up"),
    )
    with tempfile.TemporaryDirectory(prefix="kairos-fuzz-") as folder, _served(Path(folder)) as (server, database, box):
        logging.disable(logging.CRITICAL)
        result = measure(server, database, box, examples=asked.examples, seconds=asked.seconds, seed=asked.seed)
    if not asked.json:
        for name, value in result.items():
            print(f"{name:24} {json.dumps(value, indent=2) if isinstance(value, dict | list) else value}")
    print(json.dumps(result))
    is_red = result["server_errors"] or result["faults"] or result["tool_errors"]
    sys.exit(1 if is_red or result["reached_share"] < LEAST_REACHED else 0)


def measure(
    server: httpx.Client, database: Database, box: SecretBox, *, examples: int, seconds: int, seed: int
) -> dict[str, Any]:
    """Run as everybody, each for at most so many seconds."""
    tenant, _ = Tenants(database, box).create("fuzzed", display_name="fuzzed")
    issue = partial(ApiKeys(database, box).issue, tenant.tenant, name="fuzz")
    found, began = Found(), time.monotonic()
    publish = partial(MessageTypes(database).publish, tenant, actor="fuzz")
    asked = 0
    for name, key in callers(issue):
        asked += 1
        with httpx.Client(base_url=server.base_url, headers={"X-API-Key": issue()}, trust_env=False, timeout=30) as api:
            fuzzed = prepared(api, publish, f"person-of-{name.replace('_', '-')}")
        fuzzed.run(key, found, examples=examples, seconds=seconds, seed=seed)
    unreached = found.unreached(fuzzed.names)
    return {
        "what": "schemathesis",
        "callers": asked,
        "operations": len(fuzzed.names),
        "requests": found.requests,
        "server_errors": found.server_errors,
        "faults": found.faults,
        "tool_errors": dict(found.errors.most_common(10)),
        "reached_share": round(1 - len(unreached) / len(fuzzed.names), 3),
        "unreached": sorted(unreached),
        "noted": dict(found.noted.most_common(40)),
        "seconds": round(time.monotonic() - began),
        "load_average": round(os.getloadavg()[0], 1),
    }


@contextmanager
def _served(folder: Path) -> Iterator[tuple[httpx.Client, Database, SecretBox]]:
    box = SecretBox(bytes(range(32)))
    with (
        start_postgres(folder / "postgres", log=folder / "postgres.log") as postgres,
        start_valkey(folder / "valkey", log=folder / "valkey.log") as valkey,
    ):
        urls = DatabaseUrls.embedded(postgres.admin_url, box)
        prepare(postgres.admin_url, urls)
        database = Database(urls.app, keyring=Keyring.given(KEYS))
        settings = settings_for(folder, urls, box, redis_url=valkey.url, **UNLIMITED)
        with serve(lambda: open_parts(settings)) as server:
            yield server, database, box
        database.close()
        postgres.discard()


if __name__ == "__main__":
    main()
