"""The mark in the environment of every process of one supervisor, inherited by whatever they start.

A group or a parent can be left; the mark stays, so it is what "nothing is left behind" is checked by.
"""

from contextlib import suppress

import psutil

MARK = "SUPERVISED_BY"
"""Its value is the supervisor's own mark, a slash, and the name of the process."""


def end_marked(mark: str, *, seconds: float) -> None:
    """End every process under a mark: SIGTERM when there is time for it, then SIGKILL.

    Args:
        mark: of a supervisor, or of one of its processes.
        seconds: how long they may take to end when asked; 0 kills at once.
    """
    if seconds > 0:
        processes = _marked(mark)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        psutil.wait_procs(processes, timeout=seconds)
    while processes := _marked(mark):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if f"{process.environ().get(MARK)}/".startswith(f"{mark}/") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
