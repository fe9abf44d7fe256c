"""``run.json`` in the data folder: what runs on this machine, for every program that wants to find it.

Written whole or not at all, readable by its owner only (it holds URLs with passwords), and checked when read: a
file whose owner died says so instead of sending anyone to a port that is now someone else's.
"""

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import AwareDatetime, Field, NonNegativeFloat, PositiveInt, SecretStr, ValidationError, field_serializer

from adapters.embedded.private_file import write_private
from domain.values import Frozen

RUN_FILE = "run.json"


class BadRunFile(RuntimeError):
    """The file is damaged or from another version."""


class RunningServer(Frozen):
    """One embedded server: where it listens and where its data really is."""

    pid: PositiveInt
    port: PositiveInt
    folder: Path
    url: SecretStr

    @field_serializer("url", when_used="json")
    def _plain(self, url: SecretStr) -> str:
        return url.get_secret_value()


class RunningService(Frozen):
    """One of our own processes."""

    pid: PositiveInt


class RunFile(Frozen):
    """Everything one ``kairos up`` (or demo, or test run) started."""

    format: Literal[1] = 1
    pid: PositiveInt
    pid_started: NonNegativeFloat
    started_at: AwareDatetime
    version: str
    mark: str
    postgres: RunningServer | None = None
    valkey: RunningServer | None = None
    ports: dict[str, PositiveInt] = Field(default_factory=dict)
    services: dict[str, RunningService] = Field(default_factory=dict)
    api_url: str | None = Field(None, description="where this machine reaches the API")

    @classmethod
    def ours(cls, *, started_at: datetime, version: str, mark: str) -> "RunFile":
        """Return the file of this process, with nothing running yet."""
        me = psutil.Process()
        return cls(pid=me.pid, pid_started=me.create_time(), started_at=started_at, version=version, mark=mark)

    @property
    def postgres_admin_url(self) -> SecretStr | None:
        """URL of the embedded PostgreSQL's superuser, None when yours is used."""
        return self.postgres.url if self.postgres else None

    @property
    def redis_url(self) -> SecretStr | None:
        """URL of the embedded Valkey, None when yours is used."""
        return self.valkey.url if self.valkey else None

    @property
    def owner_is_alive(self) -> bool:
        """Tell whether the process that wrote the file still runs; a reused pid does not count."""
        with suppress(psutil.NoSuchProcess):
            # The clock the start is read from may be stepped by a fraction of a second.
            return abs(psutil.Process(self.pid).create_time() - self.pid_started) < 1
        return False


def write(data_dir: Path, run: RunFile) -> None:
    """Replace the run file in one step."""
    write_private(data_dir / RUN_FILE, run.model_dump_json(indent=2))


def read(data_dir: Path) -> RunFile | None:
    """Return what the run file says, None when there is none; see ``owner_is_alive`` for whether it is stale.

    Raises:
        BadRunFile: it cannot be understood.
        PermissionError: another user started what runs.
    """
    path = data_dir / RUN_FILE
    try:
        return RunFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, json.JSONDecodeError) as error:
        raise BadRunFile(f"{path} is damaged or from another version: stop what runs, then delete it") from error


def live(data_dir: Path) -> RunFile | None:
    """Return what runs now: as ``read``, but None when the owner died and its ports mean nothing."""
    run = read(data_dir)
    return run if run is not None and run.owner_is_alive else None


def remove(data_dir: Path) -> None:
    """Delete the run file, if there is one."""
    (data_dir / RUN_FILE).unlink(missing_ok=True)
