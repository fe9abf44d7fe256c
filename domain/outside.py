"""Addresses outside: which URL somebody may give us to send to, and which network address that may end at.

Only one way to write each thing is accepted, so that two readers of a URL cannot disagree about where it leads.
"""

import ipaddress
import re
from dataclasses import dataclass

MAX_URL = 2_000
_FORM = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_INSIDE = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "localdomain", "arpa")
"""Last labels that no public name has."""
_CARRIES_IPV4 = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
"""IPv6 that is translated to some IPv4 address on its way, a private one too."""
_NOT_FOR_US = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "fec0::/10")))
"""Public by their number to some versions of Python, and yet a cloud's metadata, a relay or one site's own."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(ValueError):
    """A URL or an address we do not connect to; the message says what would be accepted and repeats nothing."""


@dataclass(frozen=True)
class Target:
    """Where a URL leads; ``address`` is set when its host is one."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None

    @property
    def is_plain(self) -> bool:
        """True when nothing on the way would be encrypted."""
        return self.scheme == "http"

    @property
    def authority(self) -> str:
        """The host as a ``Host`` header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


_PORTS = {"https": 443, "http": 80}


def parse(url: str, *, allow_loopback: bool = False) -> Target:
    """Read a URL somebody gave us.

    Args:
        url: what they gave.
        allow_loopback: for development: this machine is a place to send to, without encryption too.

    Raises:
        Forbidden: it is not written as expected, or its host can be no public one.
    """
    found = _FORM.fullmatch(url) if len(url) <= MAX_URL else None
    if found is None or "#" in url:
        raise Forbidden("expected https://host/path in ASCII, without user name or fragment")
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if not 0 < port <= _MOST_PORTS:
        raise Forbidden("expected a port between 1 and 65535")
    address = _literal(host)
    target = Target(scheme, host.strip("[]"), port, found["path"] or "/", address)
    is_here = allow_loopback and (host == "localhost" or (address is not None and address.is_loopback))
    if address is not None and not is_here:
        require_public(address)
    elif address is None and not is_here:
        _require_name(host)
    if target.is_plain and not is_here:
        raise Forbidden("expected https")
    return target


_MOST_PORTS = 65_535


def require_public(address: Address) -> None:
    """Make sure that an address is one of the public internet.

    Raises:
        Forbidden: it is private, of this machine or its link, of a cloud's metadata, or leads on to another.
    """
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None or _is_within(address, _CARRIES_IPV4):
        raise Forbidden("expected an address that does not stand for another")
    inside = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or not address.is_global
    )
    if inside or _is_within(address, _NOT_FOR_US):
        raise Forbidden("expected a public address")


def _is_within(address: Address, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return any(address in each for each in networks if each.version == address.version)


def _literal(host: str) -> Address | None:
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise Forbidden("expected an IPv6 address in brackets") from None
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        # What ends in a number is read as an address by some, whatever it looks like: one form only.
        try:
            return ipaddress.IPv4Address(host)
        except ValueError:
            raise Forbidden("expected an IPv4 address as four decimal numbers") from None
    return None


def _require_name(host: str) -> None:
    labels = host.split(".")
    if len(labels) == 1 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1] in _INSIDE:
        raise Forbidden("expected the full name of a public host")
