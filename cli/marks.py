"""The mark in the environment of every process of one supervisor, inherited by whatever they start.

A group or a parent can be left; the mark stays, so it is what "nothing is left behind" is checked by.
"""

from contextlib import suppress

import psutil

MARK = "SUPERVISED_BY"


def end_marked(mark: str, *, seconds: float) -> None:
    """End every process that carries a supervisor's mark: SIGTERM when there is time for it, then SIGKILL."""
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
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
