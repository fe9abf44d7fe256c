"""Links: which addresses may stand in a message."""

import re
from urllib.parse import urlsplit

SAFE_SCHEMES = frozenset({"https", "mailto", "tel", "sms"})
_BLANK = re.compile(r"[\s\x00-\x1f\x7f\\]")


def problem(address: str, *, own_schemes: frozenset[str] = frozenset()) -> str | None:
    """Return what is wrong with an address, or None: ``broken``, ``unsafe`` or ``insecure``.

    Args:
        address: as it stands in the message.
        own_schemes: of the sender's own apps, for links into them.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return "broken"
    scheme = parts.scheme.lower()
    if not scheme or _BLANK.search(address) or not (host or parts.path):
        return "broken"
    if scheme in own_schemes:
        return None
    if scheme in {"http", "https"}:
        return _problem_of_web(scheme, host, parts.username)
    return None if scheme in SAFE_SCHEMES else "unsafe"


def _problem_of_web(scheme: str, host: str | None, user: str | None) -> str | None:
    if not host:
        return "broken"
    # https://bank.example@evil.example leads to the latter.
    if user is not None:
        return "unsafe"
    return "insecure" if scheme == "http" else None
