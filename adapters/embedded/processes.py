"""Starts, watches and ends other programs; none of them outlives this process by accident.

A program started from the main thread gets a signal when we die (Linux), runs in a session of its own so that
Ctrl-C reaches only us, and has exactly the environment it was given.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_LAUNCHER = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.02
"""How often a starting or ending program is looked at."""


class StartFailed(RuntimeError):
    """A program did not come up; the message says which and ends with what it logged."""


@dataclass(frozen=True)
class Account:
    """A user and group to run a program as."""

    uid: int
    gid: int


def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    env: Mapping[str, str],
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, its output appended to a log only we may read.

    Args:
        argv: absolute path of the program, then its arguments.
        cwd: folder it starts in.
        log: file for standard output and error; its folder must exist.
        env: the whole environment of the program.
        account: whom to run as; None keeps ours.
        death_signal: what the program gets when we die. Linux ties this to the *thread* that started it, so it
            is armed in the main thread only.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    become = f"{account.uid}:{account.gid}" if account else "-"
    armed = str(int(death_signal) if in_main_thread else 0)
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), armed, become]
    with open(log, "ab", opener=_private) as output:
        return subprocess.Popen(  # noqa: S603 - programs and arguments are ours
            [*launcher, *map(str, argv)],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def end(process: subprocess.Popen[bytes], steps: Iterable[tuple[signal.Signals, float]]) -> int:
    """Signal a program ever more firmly until it is gone, SIGKILL last, and return its exit code.

    Args:
        process: what to end; one that has ended already is left alone.
        steps: signals and the seconds to wait after each.
    """
    for number, seconds in steps:
        if process.poll() is not None:
            break
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    if process.poll() is None:
        kill_tree(process.pid)
    return process.wait()


def kill_tree(pid: int) -> None:
    """SIGKILL a process and everything below it, the top first so that it restarts nothing."""
    try:
        top = psutil.Process(pid)
        doomed = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in doomed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(doomed[1:], timeout=10)


def end_strays(program: str, *, cwd: Path, number: signal.Signals, seconds: float) -> None:
    """End what an earlier owner left at work in ``cwd``: every process of that program name, then SIGKILL.

    A pid is reused, so program and folder are the proof; call it only with the folder's lock in hand.
    """
    strays = [process for process in psutil.process_iter() if _works_in(process, program, cwd.resolve())]
    for process in strays:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    _, alive = psutil.wait_procs(strays, timeout=seconds)
    for process in alive:
        kill_tree(process.pid)


def _works_in(process: psutil.Process, program: str, cwd: Path) -> bool:
    try:
        return process.name() == program and Path(process.cwd()) == cwd
    except psutil.Error:
        return False


def wait_until(check: Callable[[], bool], process: subprocess.Popen[bytes], *, seconds: float) -> bool:
    """Poll until a check passes; False when the process ends or the time is up first."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if check():
            return True
        time.sleep(POLL_SECONDS)
    return False


def size(log: Path) -> int:
    """Return the bytes in a log, 0 when there is none yet."""
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, *, since: int = 0, lines: int = 20) -> str:
    """Return the last lines that were logged after an offset in bytes."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(since, size(log) - lines * 400))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
