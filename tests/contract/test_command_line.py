"""The command line: every command it lists exists, and its help costs nothing."""

import subprocess
import sys

import pytest

from adapters.embedded.folder_lock import Locked
from adapters.embedded.ports import PortInUse
from adapters.embedded.processes import StartFailed
from adapters.endpoints import NotRunning
from adapters.settings import BadSettings
from cli import app, exit_codes
from cli.exit_codes import ExitCode, Refused

HEAVY = ("pydantic", "sqlalchemy", "psutil", "pandas", "dagster", "mlflow", "feast")


@pytest.mark.parametrize("name", app.SUMMARY_BY_COMMAND)
def test_every_listed_command_loads_and_explains_itself(name):
    assert app._load(name).help


def test_the_help_loads_nothing_heavy():
    script = f"import sys, cli.app; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_unknown_command_is_a_usage_error():
    done = subprocess.run([sys.executable, "-m", "cli.app", "upp"], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.USAGE
    assert "No such command 'upp'" in done.stderr


def test_every_failure_we_foresaw_has_its_code(tmp_path):
    foreseen = {
        Locked(tmp_path / "lock", 7): ExitCode.ALREADY_RUNNING,
        PortInUse(1, "api"): ExitCode.PORT_IN_USE,
        StartFailed("PostgreSQL did not start"): ExitCode.FAILED,
        NotRunning("nothing runs"): ExitCode.NOT_RUNNING,
        BadSettings("KAIROS_X: unknown"): ExitCode.USAGE,
        Refused("no", ExitCode.BAD_FOLDER): ExitCode.BAD_FOLDER,
    }
    assert {error: exit_codes.of(error) for error in foreseen} == foreseen


def test_a_bug_has_no_code_and_keeps_its_traceback():
    assert exit_codes.of(KeyError("x")) is None
