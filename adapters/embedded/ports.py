"""Loopback ports: which are free, and who listens on one that is not."""

import errno
import socket
from contextlib import ExitStack

import psutil

LOOPBACK = "127.0.0.1"


class PortInUse(RuntimeError):
    """Someone else listens on a port we were told to use."""

    def __init__(self, port: int, wanted_by: str, host: str = LOOPBACK) -> None:
        self.port = port
        super().__init__(f"port {port} on {host}, wanted by {wanted_by}, is in use{_by_whom(port)}")


def free_ports(count: int) -> list[int]:
    """Return different ports nobody listens on; another process may still take one before we do."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port() -> int:
    """Return a port nobody listens on, as ``free_ports`` does."""
    return free_ports(1)[0]


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether we could listen on a port now.

    Raises:
        OSError: no address of this machine is ``host``.
        PermissionError: the port is below 1024 and we may not listen there.
    """
    with socket.socket() as probe:
        # As servers do: connections that linger after a stop do not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        return True


def answers(port: int) -> bool:
    """Tell whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _by_whom(port: int) -> str:
    try:
        found = next(
            c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr[1:] == (port,) and c.pid
        )
        return f" by {psutil.Process(found).name()} (process {found})"
    except (StopIteration, psutil.Error):
        return ""
