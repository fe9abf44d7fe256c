"""A line to a server that can be made slow and lossy, as ``netem`` does it, where the kernel has no ``netem``.

A process of its own passes bytes on. While it is slow each piece arrives after ``DELAY_SECONDS``; one in five is lost
and sent again after a retransmission timeout, which doubles each time it is lost again, as TCP does. What is behind a
lost piece waits for it.

``python -m benchmarks.slow_line PORT`` prints the port it listens on; SIGUSR1 makes the line slow, SIGUSR2 as it was.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

DELAY_SECONDS = 0.2
LOST_SHARE = 0.2
FIRST_TIMEOUT_SECONDS = 2 * DELAY_SECONDS + 0.2
"""A round trip and the least that Linux waits besides (RFC 6298)."""
_HOST = "127.0.0.1"
_PIECE = 65_536


@dataclass
class _Line:
    port: int
    is_slow: bool = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on both ways of one connection, until either side ends it; without a server there, end it at once."""
        try:
            there, back = await asyncio.open_connection(_HOST, self.port)
        except ConnectionError:
            return writer.close()
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        back.close()
        return writer.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop, on_its_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

        async def deliver() -> None:
            while True:
                due, piece = await on_its_way.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                sink.write(piece)
                await sink.drain()
                if not piece:
                    return sink.close()

        async def accept() -> None:
            while True:
                piece = await source.read(_PIECE)
                on_its_way.put_nowait((loop.time() + (_delay() if self.is_slow else 0.0), piece))
                if not piece:
                    return

        await asyncio.gather(accept(), deliver())


def _delay() -> float:
    """Return the seconds until a piece arrives."""
    delay, timeout = DELAY_SECONDS, FIRST_TIMEOUT_SECONDS
    while random.random() < LOST_SHARE:  # noqa: S311 - no secret
        delay, timeout = delay + timeout, 2 * timeout
    return delay


async def _serve(port: int) -> None:
    line = _Line(port)
    server = await asyncio.start_server(line.connected, _HOST, 0)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, setattr, line, "is_slow", True)  # noqa: FBT003 - setattr's own order
    loop.add_signal_handler(signal.SIGUSR2, setattr, line, "is_slow", False)  # noqa: FBT003
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Line:
    """A line that is running."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Make it slow and lossy inside the block."""
        os.kill(self._pid, signal.SIGUSR1)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGUSR2)


@contextmanager
def line_to(port: int) -> Iterator[tuple[int, Line]]:
    """Start a line to a port; yields the port to connect to, and the line."""
    command = [sys.executable, "-m", "benchmarks.slow_line", str(port)]
    # Our own module, in this interpreter.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield int(cast("IO[str]", process.stdout).readline()), Line(process.pid)
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
