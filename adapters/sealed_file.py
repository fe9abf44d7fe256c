"""A file written and read in sealed pieces: AES-256-GCM, each piece bound to the file and to its place in it.

A piece at a time is in memory. What was appended after the last committed length, by somebody who was killed, is cut.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.keyring import NONCE_BYTES
from adapters.secrets import CannotOpen

_LENGTH_BYTES = 4


class SealedFile:
    """One file under one key."""

    def __init__(self, path: Path, key: bytes, *, name: str) -> None:
        """Open nothing yet.

        Args:
            path: where it is.
            key: 32 bytes, of this file alone.
            name: bound to every piece.
        """
        self._path = path
        self._cipher = AESGCM(key)
        self._name = name

    def append(self, piece: bytes, *, number: int, at: int) -> int:
        """Write a piece behind the first ``at`` bytes and return the new length; on disk when this returns."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, piece, self._bound_to(number))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            file.truncate(at)
            file.seek(at)
            file.write(len(sealed).to_bytes(_LENGTH_BYTES) + sealed)
            file.flush()
            os.fsync(file.fileno())
        return at + _LENGTH_BYTES + len(sealed)

    def pieces(self, count: int) -> Iterator[bytes]:
        """Yield the pieces.

        Raises:
            CannotOpen: the file was changed, is cut, or is another one.
        """
        with self._path.open("rb") as file:
            for number in range(count):
                sealed = file.read(int.from_bytes(file.read(_LENGTH_BYTES)))
                try:
                    yield self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._bound_to(number))
                except (InvalidTag, ValueError):
                    raise CannotOpen("a sealed file was changed, or is cut") from None

    def _bound_to(self, number: int) -> bytes:
        return f"{self._name}|{number}".encode()
