"""Leaves the demo running: the work is done by a process of its own, whose output is shown until it is done."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import typer

from adapters.embedded import run_file
from adapters.settings import child_environment
from cli.exit_codes import ExitCode, Refused

_POLL_SECONDS = 0.1
_STOP_SECONDS = 60.0
ROOT = Path(__file__).parents[1]


def start(folder: Path, data: Path | None) -> None:
    """Run the demo in the background, show what it says, and return once it has said its last line.

    Raises:
        Refused: the demo failed; what it said was shown.
    """
    log = folder.with_name(f"{folder.name}.log")
    command = [sys.executable, "-m", "cli.app", "demo", "--hold", *(["--data", str(data.absolute())] if data else [])]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=child_environment({"PYTHONUNBUFFERED": "1"}), start_new_session=True,
        )  # fmt: skip
    try:
        last = _follow(log, process)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    print(f"left running as pid {process.pid}; stop it with: kairos demo --stop", file=sys.stderr)
    print(last)


def stop(folder: Path) -> None:
    """Stop the demo that was left running.

    Raises:
        Refused: none runs, or it did not stop.
    """
    running = run_file.read(folder)
    if running is None or not running.owner_is_alive:
        raise Refused("no demo is running", ExitCode.NOT_RUNNING)
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while running.owner_is_alive:
        if time.monotonic() > deadline:
            raise Refused(f"the demo did not stop; end it with: kill -9 {running.pid}")
        time.sleep(_POLL_SECONDS)
    typer.echo("the demo has stopped")


def _follow(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Show the log as it grows; return its JSON line, which is the last."""
    with log.open() as lines:
        while True:
            line = lines.readline()
            if line.startswith("{") and line.endswith("}\n"):
                return line.rstrip()
            if line:
                print(line, end="", flush=True)
            elif process.poll() is not None:
                code = ExitCode.USAGE if process.returncode == ExitCode.USAGE else ExitCode.FAILED
                raise Refused(f"the demo ended with exit code {process.returncode}", code)
            else:
                time.sleep(_POLL_SECONDS)
