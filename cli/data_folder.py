"""The data folder: taken by one process at a time, recognized before anything in it is deleted."""

import os
import shutil
from pathlib import Path

from adapters.embedded import place, postgres, run_file, valkey
from adapters.embedded.folder_lock import FolderLock, Locked
from cli.exit_codes import ExitCode, Refused
from cli.marks import end_marked

LOCK = "kairos.lock"
POSTGRES = "postgres"
VALKEY = "valkey"
_LEFTOVER_SECONDS = 10.0
_OURS = {LOCK, run_file.RUN_FILE, "secret.key", POSTGRES}
"""Any of these says that a folder is one of Kairos."""


def take(home: Path) -> FolderLock:
    """Make the folder if need be, lock it, and end what a killed owner left running.

    Raises:
        Refused: the folder cannot be used, or another process runs on it.
    """
    try:
        # Root's server runs under another account, which has to pass through but not to look.
        home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        _require_ours(home)
        lock = FolderLock(home / LOCK)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
    except Locked as error:
        message = f"already running as pid {error.pid} on {home}; see `kairos status`, stop it with: kill {error.pid}"
        raise Refused(message, ExitCode.ALREADY_RUNNING) from error
    except OSError as error:
        message = f"the data folder {home} cannot be used ({error.strerror}); make it usable or set KAIROS_DATA_DIR"
        raise Refused(message, ExitCode.BAD_FOLDER) from error
    _end_leftovers(home)
    return lock


def delete(home: Path) -> list[Path]:
    """Delete the folder and what is kept outside for it; return what was deleted.

    Raises:
        Refused: the folder is not one of Kairos, or something runs on it.
    """
    if not home.exists():
        return place.remove(home / POSTGRES)
    with take(home):
        postgres.end_leftovers(home / POSTGRES)
        valkey.end_leftovers(home / VALKEY)
        removed = place.remove(home / POSTGRES)
        shutil.rmtree(home)
    return [*(path for path in removed if not path.is_relative_to(home)), home]


def _require_ours(home: Path) -> None:
    names = {path.name for path in home.iterdir()}
    if names and not names & _OURS:
        message = f"{home} holds other things than Kairos: name an empty or a new folder in KAIROS_DATA_DIR"
        raise Refused(message, ExitCode.BAD_FOLDER)


def _end_leftovers(home: Path) -> None:
    """With the lock in hand, whatever the last owner's run file names is left over; the servers end their own."""
    try:
        run = run_file.read(home)
    except run_file.BadRunFile:
        run = None
    if run is not None:
        end_marked(run.mark, seconds=_LEFTOVER_SECONDS)
    run_file.remove(home)
