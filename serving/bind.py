"""How the service will listen, settled when this module is imported: before anything that takes long to load.

``bentoml serve`` takes an address and a certificate of its own, from its command line or environment. What the settings
or whoever starts it say and may not be ends the process, with one line that says why.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

import click

from adapters.listening import Listening, require_private
from adapters.settings import BadSettings, believe_proxies, load_settings


def _may_listen() -> Listening:
    try:
        listening = Listening.of(settings := load_settings())
        context = click.get_current_context(silent=True)
        asked = context.params if context is not None else {}
        if asked.get("host"):
            has_tls = bool(asked.get("ssl_certfile")) or listening.certificate is not None
            require_private(_address(asked["host"]), has_tls=has_tls, proxy=settings.trusted_proxy)
    except BadSettings as error:
        raise SystemExit(f"kairos: {error}") from None
    return listening


def _address(host: str) -> IPv4Address | IPv6Address:
    if host == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(host)
    except ValueError:
        raise BadSettings(f"the host {host!r} is no address; give an IPv4 address, such as 127.0.0.1") from None


LISTENING = _may_listen()
believe_proxies(LISTENING.proxies)
