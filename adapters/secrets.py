"""Secrets: one master key per installation, from which every other secret is derived by name.

A secret has no default: without ``KAIROS_SECRET_KEY`` one is generated on first start, mode 0600. What is
sealed here (AES-256-GCM, random 96-bit nonce) opens only under the name it was sealed for.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.settings import Settings

_NONCE_BYTES = 12
_KEY_BYTES = 32
KEY_FILE = "secret.key"


class CannotOpen(ValueError):
    """Sealed bytes were changed, sealed under another name, or sealed with another master key."""


class SecretBox:
    """Derives keys by name and seals small values under them."""

    def __init__(self, master: bytes) -> None:
        self._master = master

    @classmethod
    def of(cls, settings: Settings) -> "SecretBox":
        """Return the box of this installation, generating its master key on first use."""
        if settings.secret_key is not None:
            return cls(hashlib.sha256(settings.secret_key.get_secret_value().encode()).digest())
        return cls(_read_or_create(settings.data_dir / KEY_FILE))

    def key(self, name: str) -> bytes:
        """Return the 32-byte key that belongs to a name."""
        return hmac.new(self._master, name.encode(), hashlib.sha256).digest()

    def password(self, name: str) -> str:
        """Return the password of a database role we create, 64 hexadecimal digits."""
        return self.key(f"password:{name}").hex()

    def seal(self, name: str, plain: bytes) -> bytes:
        """Encrypt under a name; the name is bound to the result."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.key(f"seal:{name}")).encrypt(nonce, plain, name.encode())

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """Decrypt what was sealed under the same name.

        Raises:
            CannotOpen: the bytes, the name or the master key differ.
        """
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return AESGCM(self.key(f"seal:{name}")).decrypt(nonce, body, name.encode())
        except (InvalidTag, ValueError):
            # ValueError: too short to hold a nonce and a tag.
            raise CannotOpen(f"what is sealed as {name!r} does not open with this secret key") from None


def _read_or_create(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_bytes(_KEY_BYTES).hex())
            file.flush()
            os.fsync(file.fileno())
        # A link fails when another process was first, so that two starts never end with two keys.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        Path(draft).unlink()
    return bytes.fromhex(path.read_text().strip())
