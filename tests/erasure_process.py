"""Erases somebody in processes that are killed: SIGKILL before and after the work of every place, one after another.

``python -m tests.erasure_process TENANT ERASURE`` prints how many processes were killed, as JSON.
"""

import json
import os
import signal
import sys

from adapters.erasure_ledger import ErasureLedger
from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.personal_data.eraser import Eraser, places
from adapters.postgres.engine import Database
from adapters.postgres.tenants import Tenants
from adapters.redis import online_store  # noqa: F401 - loaded once, before the processes part
from adapters.redis.client import connect
from adapters.secrets import SecretBox
from adapters.settings import load_settings

MOMENTS = ("before", "after")


class Deadly:
    """A place whose process dies at it, inside the transaction that would note it as done."""

    def __init__(self, place, moment):
        self.name = place.name
        self._place = place
        self._moment = moment

    def erase(self, connection, person):
        if self._moment == "after":
            self._place.erase(connection, person)
        os.kill(os.getpid(), signal.SIGKILL)


def erase(tenant, erasure_id, *, deadly=None):
    """Run the erasure; with ``deadly``, a place and a moment, the process ends there."""
    settings = load_settings()
    database = Database(settings.postgres_url.get_secret_value(), keyring=Keyring.of(settings))
    whose = Tenants(database, SecretBox.of(settings)).get(tenant)
    with connect(settings.redis_url.get_secret_value(), timeout_ms=2000) as redis:
        everywhere = places(Lake(settings.lake_dir), redis, settings.data_dir, SecretBox.of(settings))
        if deadly is not None:
            everywhere = [Deadly(each, deadly[1]) if each.name == deadly[0] else each for each in everywhere]
        Eraser(database, everywhere, ErasureLedger.of(settings)).run(whose, erasure_id)


def main():
    tenant, erasure_id = sys.argv[1:]
    settings = load_settings()
    names = [each.name for each in places(Lake(settings.lake_dir), None, settings.data_dir, SecretBox.of(settings))]
    killed = 0
    for deadly in ((name, moment) for name in names for moment in MOMENTS):
        child = os.fork()
        if child == 0:
            erase(tenant, erasure_id, deadly=deadly)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    sys.stdout.write(json.dumps({"places": len(names), "killed": killed}) + "\n")


if __name__ == "__main__":
    main()
