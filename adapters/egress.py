"""The one way out: every connection to a place that somebody outside named is opened here, and nowhere else.

A name is resolved once, every address it has must be public, and the connection goes to the very address that was
looked at. Nothing is followed, no proxy is asked, nothing is unpacked, and no answer can cost more than its limits.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from contextlib import contextmanager
from dataclasses import dataclass

from adapters.settings import Settings
from domain import outside
from domain.outside import Address, Forbidden, Target

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host; the port is what it will be asked for."""
RESOLVERS = 4
"""Names that are looked up at a time; a name server that hangs cannot hold more threads."""
_CHUNK = 16 * 1024
_LATE = "no complete answer in time"


class Unreachable(RuntimeError):
    """No answer could be had within the limits; the message is one of a few words and repeats nothing that came."""


@dataclass(frozen=True)
class Limits:
    """What one request may take: seconds, and bytes of the answer that are read before the rest is left."""

    connect_seconds: float = 3.0
    read_seconds: float = 5.0
    total_seconds: float = 8.0
    answer_bytes: int = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back; ``body`` as it came, packed or not, and cut where ``is_cut``."""

    status: int
    retry_after: str | None
    body: bytes
    is_cut: bool


def resolve(host: str, port: int) -> list[str]:
    """Return every address the system knows for a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Egress:
    """Sends requests outside."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        limits: Limits | None = None,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect nothing yet.

        Args:
            allow_loopback: for development: this machine may be sent to, without encryption too.
            limits: of each request.
            resolve: looks a name up.
            tls: whose certificates are believed; the system's unless given.
        """
        self._allow_loopback = allow_loopback
        self._limits = limits if limits is not None else Limits()
        self._resolve = resolve
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._names = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="egress-name")

    @classmethod
    def of(cls, settings: Settings, limits: Limits | None = None) -> "Egress":
        """Return the way out of this installation."""
        return cls(allow_loopback=settings.egress_allow_loopback, limits=limits)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body and return the answer, whatever its status; a redirect is an answer and is not followed.

        Raises:
            Forbidden: the URL, or an address its host has now, is none we send to; nothing was connected.
            Unreachable: there was no complete answer in time.
        """
        return self._ask("POST", url, body, headers)

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask for what is at a place, as ``post`` sends.

        Raises:
            Forbidden: the URL, or an address its host has now, is none we ask; nothing was connected.
            Unreachable: there was no complete answer in time.
        """
        return self._ask("GET", url, None, headers)

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        target = outside.parse(url, allow_loopback=self._allow_loopback)
        deadline = time.monotonic() + self._limits.total_seconds
        addresses = self._addresses(target)
        with self._connection(target, addresses, deadline) as link:
            sent = {"Host": target.authority, "Accept-Encoding": "identity", "Connection": "close", **headers}
            try:
                link.request(method, target.path, body, sent)
                answer = self._read(link.getresponse())
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Unreachable(_named(error, deadline)) from None
        if time.monotonic() >= deadline:
            # Cut off by us in the middle, which reads like an end.
            raise Unreachable(_LATE)
        return answer

    def close(self) -> None:
        """Look up no more names; a name server that hangs is not waited for."""
        self._names.shutdown(wait=False, cancel_futures=True)

    def _addresses(self, target: Target) -> list[Address]:
        if target.address is not None:
            return [target.address]
        asked = self._names.submit(self._resolve, target.host, target.port)
        try:
            found = [ipaddress.ip_address(each) for each in asked.result(self._limits.connect_seconds)]
        except TooSlow:
            asked.cancel()
            raise Unreachable("the name server does not answer") from None
        except (OSError, UnicodeError):
            raise Unreachable("the name is not known") from None
        except ValueError:
            raise Forbidden("expected a public address") from None
        for address in found:
            # One private address among public ones is enough: the next connection might take it.
            if not (self._allow_loopback and address.is_loopback):
                outside.require_public(address)
        if not found:
            raise Unreachable("the name has no address")
        return found

    @contextmanager
    def _connection(
        self, target: Target, addresses: Sequence[Address], deadline: float
    ) -> Iterator[http.client.HTTPConnection]:
        raw = self._connected(target, addresses)
        guard = raw.dup()
        # Whatever trickles in keeps each read within its own limit: this one ends the whole.
        watch = threading.Timer(max(0.0, deadline - time.monotonic()), _shut, [guard])
        watch.daemon = True
        watch.start()
        link = http.client.HTTPConnection(target.host, target.port)
        link.auto_open = 0  # it would look the name up again by itself
        try:
            raw.settimeout(self._limits.read_seconds)
            link.sock = raw if target.is_plain else self._tls.wrap_socket(raw, server_hostname=target.host)
            yield link
        except (OSError, ValueError) as error:
            raise Unreachable(_named(error, deadline)) from None
        finally:
            watch.cancel()
            link.close()
            raw.close()
            guard.close()

    def _connected(self, target: Target, addresses: Sequence[Address]) -> socket.socket:
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        # The first of each family: with a list of dead addresses one request would wait for all of them.
        chosen = {each.version: each for each in reversed(addresses)}
        for version, address in sorted(chosen.items()):
            raw = socket.socket(family[version], socket.SOCK_STREAM)
            raw.settimeout(self._limits.connect_seconds)
            try:
                raw.connect((str(address), target.port))
            except OSError:
                raw.close()
            else:
                return raw
        raise Unreachable("nothing answers at its address")

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        limit, body = self._limits.answer_bytes, bytearray()
        while len(body) <= limit and (chunk := response.read1(_CHUNK)):
            body += chunk
        return Answer(response.status, response.getheader("Retry-After"), bytes(body[:limit]), len(body) > limit)


def _shut(guard: socket.socket) -> None:
    try:
        guard.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side was faster.
        return


def _named(error: Exception, deadline: float) -> str:
    """Return what went wrong in words of ours: what the other side says is not repeated in our logs."""
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return _LATE
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not valid for its name"
    if isinstance(error, ssl.SSLError):
        return "no encrypted connection could be made"
    return "the connection broke" if isinstance(error, OSError) else "what it answers is not HTTP"
