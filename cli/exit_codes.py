"""What ``kairos`` returns to the shell, and which failure gets which code.

A failure we foresaw is one sentence on standard error; anything else keeps its traceback, because it is a bug.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """The closed list; scripts may rely on it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    ALREADY_RUNNING = 3
    PORT_IN_USE = 4
    BAD_FOLDER = 5
    NOT_RUNNING = 6


class Refused(Exception):
    """A command cannot do what was asked; the message says why and what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        self.code = code
        super().__init__(message)


def of(error: BaseException) -> ExitCode | None:
    """Return the code of a failure we foresaw, None for any other."""
    from adapters.embedded.folder_lock import Locked
    from adapters.embedded.ports import PortInUse
    from adapters.embedded.processes import StartFailed
    from adapters.embedded.run_file import BadRunFile
    from adapters.endpoints import NotRunning
    from adapters.settings import BadSettings
    from cli.supervisor import Stopped

    if isinstance(error, Refused):
        return error.code
    codes: dict[type[BaseException], ExitCode] = {
        BadSettings: ExitCode.USAGE,
        Locked: ExitCode.ALREADY_RUNNING,
        PortInUse: ExitCode.PORT_IN_USE,
        BadRunFile: ExitCode.BAD_FOLDER,
        NotRunning: ExitCode.NOT_RUNNING,
        StartFailed: ExitCode.FAILED,
        Stopped: ExitCode.FAILED,
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), None)
