"""DAGSTER_HOME of a data folder: the instance of ``deploy/dagster.yaml`` with this server's URL, and the workspace.

Written at every start, readable by us only (the URL has a password), so ``DAGSTER_HOME=.kairos/dagster dagster …``
works by hand while Kairos is up.
"""

from pathlib import Path

import yaml

from adapters.embedded.ports import LOOPBACK
from adapters.embedded.private_file import write_private


def write(home: Path, *, template: Path, postgres_url: str, code_port: int) -> None:
    """Write ``dagster.yaml`` and ``workspace.yaml``.

    Args:
        home: the folder, made when missing.
        template: an instance whose storage names its URL by an environment variable.
        postgres_url: takes that variable's place; its driver is named.
        code_port: loopback port of the code server.
    """
    home.mkdir(mode=0o700, exist_ok=True)
    instance = yaml.safe_load(template.read_text())
    instance["storage"]["postgres"]["postgres_url"] = postgres_url
    server = {"host": LOOPBACK, "port": code_port, "location_name": "kairos"}
    write_private(home / "dagster.yaml", yaml.safe_dump(instance))
    write_private(home / "workspace.yaml", yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
