"""Writes an export in processes of its own: killed at every few pages, or measured.

``python -m tests.export_process killed TENANT EXPORT`` prints how many were killed, ``measured`` the memory it took.
"""

import json
import os
import signal
import sys
from pathlib import Path

import psutil

from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.personal_data.exporter import Exporter, sources
from adapters.postgres.engine import Database
from adapters.postgres.exports import Exports
from adapters.postgres.tenants import Tenants
from adapters.redis import online_store  # noqa: F401 - loaded once, before the processes part
from adapters.redis.client import connect
from adapters.secrets import SecretBox
from adapters.settings import load_settings

MOST_KILLS = 200


class Deadly:
    """A source whose process dies after a page was read, in the transaction that would note it."""

    def __init__(self, source):
        self.name = source.name
        self._source = source

    def page(self, connection, person, after):
        self._source.page(connection, person, after)
        os.kill(os.getpid(), signal.SIGKILL)


def write(tenant, export_id, *, pages=None):
    """Write up to so many pages, and die at the next; all of them when None. Returns whether it goes on."""
    settings = load_settings()
    box = SecretBox.of(settings)
    database = Database(settings.postgres_url.get_secret_value(), keyring=Keyring.of(settings))
    whose = Tenants(database, box).get(tenant)
    with connect(settings.redis_url.get_secret_value(), timeout_ms=2000) as redis:
        read = sources(Lake(settings.lake_dir), redis, settings.data_dir, box)
        store = Exports(database, box)
        alive = Exporter(store, read, settings.data_dir)
        deadly = Exporter(
            store, {kind: [Deadly(each) for each in some] for kind, some in read.items()}, settings.data_dir
        )
        done = 0
        while True:
            goes_on = (alive if pages is None or done < pages else deadly).step(whose, export_id)
            done += 1
            if not goes_on:
                return


def killed(tenant, export_id):
    count = 0
    for _ in range(MOST_KILLS):
        child = os.fork()
        if child == 0:
            write(tenant, export_id, pages=1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        count += 1
    return {"killed": count}


def measured(tenant, small, export_id):
    """Return the growth of the resident memory at its peak, in bytes, over what the export of a small subject takes."""
    write(tenant, small)
    before = psutil.Process().memory_info().rss
    write(tenant, export_id)
    return {"growth": _peak() - before}


def _peak():
    # getrusage would tell the peak of the process that started this one.
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"killed": killed, "measured": measured}[sys.argv[1]](*sys.argv[2:])) + "\n")
