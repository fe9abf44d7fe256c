"""Becomes another program: drops to an account, ties its life to the parent's, then execs.

Run as a script (``python -I -S launch.py PARENT SIGNAL ACCOUNT PROGRAM …``), so that no code of ours runs between
fork and exec in a process that may have threads. Imports the standard library only.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)
_ORPHANED = 71  # EX_OSERR of sysexits.h


def become(argv: list[str]) -> None:
    """Exec ``PARENT SIGNAL ACCOUNT PROGRAM …``.

    Args:
        argv: pid of the parent; signal number to get when it dies, 0 for none; ``uid:gid`` to become or ``-``;
            then the program's absolute path and its arguments.
    """
    parent, death_signal, account, *program = argv
    if account != "-":
        uid, gid = map(int, account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)
    # A shell that starts us in the background ignores SIGINT, and Python ignores SIGPIPE: servers expect neither.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    # After the change of account, which would clear it.
    _die_with(int(parent), int(death_signal))
    os.execv(program[0], program)  # noqa: S606 - the program is chosen by our caller


def _die_with(parent: int, death_signal: int) -> None:
    if not death_signal or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        sys.exit(_ORPHANED)


if __name__ == "__main__":
    become(sys.argv[1:])
