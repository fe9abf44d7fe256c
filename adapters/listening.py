"""Where the API listens, and whether it may: beyond this machine only with TLS, or behind a proxy that is declared.

Keys and recipients' data are in every request; a bind that shows them to a network is refused before it is made.
"""

import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Self

from adapters.settings import BadSettings, Settings

_EVERY_ADDRESS = IPv4Address("0.0.0.0")  # noqa: S104 - compared with, not bound to
_HERE = IPv4Address("127.0.0.1")


@dataclass(frozen=True)
class Listening:
    """How the API listens, checked.

    ``certificate`` and ``key`` are both given, or neither; ``proxies`` are the addresses whose ``X-Forwarded-For``
    and ``X-Forwarded-Proto`` are believed.
    """

    host: IPv4Address
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = (str(_HERE),)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return how the API listens by these settings.

        Raises:
            BadSettings: it would be open to a network without encryption, or the certificate cannot be used.
        """
        certificate, key = settings.tls_certificate, settings.tls_key
        if (certificate is None) != (key is None):
            given, missing = ("CERTIFICATE", "KEY") if key is None else ("KEY", "CERTIFICATE")
            raise BadSettings(f"KAIROS_TLS_{given} is set without KAIROS_TLS_{missing}; TLS needs both")
        if certificate is not None and key is not None:
            certificate, key = certificate.expanduser().absolute(), key.expanduser().absolute()
            _require_usable(certificate, key)
        require_private(settings.api_host, has_tls=certificate is not None, proxy=settings.trusted_proxy)
        return cls(settings.api_host, certificate, key, _proxies(settings.trusted_proxy))


def address(settings: Settings, port: int) -> str:
    """Return the URL by which this machine reaches the API on a port; nothing is checked."""
    scheme = "https" if settings.tls_certificate is not None else "http"
    return f"{scheme}://{_HERE if settings.api_host == _EVERY_ADDRESS else settings.api_host}:{port}"


def require_private(host: IPv4Address | IPv6Address, *, has_tls: bool, proxy: str | None) -> None:
    """Make sure that nothing is readable on the way to a listener.

    Raises:
        BadSettings: it is reachable from elsewhere, speaks plain HTTP, and nobody said that a proxy encrypts.
    """
    if host.is_loopback or has_tls or proxy is not None:
        return
    raise BadSettings(
        f"KAIROS_API_HOST: {host} is beyond loopback, where keys and personal data would travel unencrypted; "
        "set KAIROS_TLS_CERTIFICATE and KAIROS_TLS_KEY, or KAIROS_TRUSTED_PROXY when a proxy in front ends TLS"
    )


def _proxies(declared: str | None) -> tuple[str, ...]:
    # "true" says that a proxy encrypts, not which one it is: then only one on this machine is believed.
    if declared is None or declared == "true":
        return (str(_HERE),)
    return tuple(each.strip() for each in declared.split(","))


def _require_usable(certificate: Path, key: Path) -> None:
    for name, path in (("CERTIFICATE", certificate), ("KEY", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise BadSettings(f"KAIROS_TLS_{name}: {path} cannot be read: {error.strerror}") from None
    try:
        # A key with a password would otherwise be asked for at a terminal nobody sits at.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError):
        raise BadSettings(
            f"KAIROS_TLS_CERTIFICATE, KAIROS_TLS_KEY: {certificate} and {key} are not a PEM certificate and the key "
            "that belongs to it, without a password"
        ) from None


def _no_password() -> str:
    raise ValueError("the key has a password")
