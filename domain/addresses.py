"""Addresses: e-mail addresses, telephone numbers and the like, known to Kairos only as keyed hashes.

An address is written in one form before it is hashed, so that capitals and spaces do not make it another one.
"""

import hashlib
import hmac
import re
import unicodedata

from domain.values import Channel, Frozen, Moment

MAX_ADDRESS = 320
"""Longest address in characters: an e-mail address has at most 64 + 1 + 255."""
HASH_BYTES = 32

_PHONE = frozenset({Channel.SMS, Channel.VOICE})
_EMAIL_FORM = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_PHONE_FORM = re.compile(r"\+[1-9]\d{6,14}")
_PHONE_NOISE = re.compile(r"[\s().\-/]")


class BadAddress(ValueError):
    """What was given cannot be an address of the channel; the message says what could, never what was given."""


class KnownAddress(Frozen):
    """One address of a recipient as it is kept: its hash."""

    channel: Channel
    address_hash: str
    recorded_at: Moment


def normalized(channel: Channel, address: str) -> str:
    """Return the one form of an address that is hashed.

    Raises:
        BadAddress: it is no address of the channel.
    """
    told = unicodedata.normalize("NFKC", address).strip()
    if not told or len(told) > MAX_ADDRESS:
        raise BadAddress(f"an address of 1 to {MAX_ADDRESS} characters")
    if channel is Channel.EMAIL:
        told = told.casefold()
        if not _EMAIL_FORM.fullmatch(told):
            raise BadAddress("an e-mail address such as a@example.org")
    if channel in _PHONE:
        told = _PHONE_NOISE.sub("", told)
        if not _PHONE_FORM.fullmatch(told):
            raise BadAddress("a telephone number with its country code, such as +14155550100")
    return told


def address_hash(tenant_secret: bytes, channel: Channel, address: str) -> bytes:
    """Return the keyed hash of an address, 32 bytes; without the tenant's secret nobody can try addresses against it.

    A number has one hash for text messages and calls.

    Raises:
        BadAddress: it is no address of the channel.
    """
    kind = "phone" if channel in _PHONE else channel.value
    text = f"address:{kind}:{normalized(channel, address)}"
    return hmac.new(tenant_secret, text.encode(), hashlib.sha256).digest()
