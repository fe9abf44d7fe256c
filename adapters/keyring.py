"""Key-encryption keys: several at once, each with an id, under which the data key of every subject is wrapped.

They are generated on first start into a file of mode 0600, or given by settings. The newest wraps; the others only
unwrap, until no data key needs them.
"""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.embedded.private_file import write_private
from adapters.secrets import CannotOpen
from adapters.settings import Settings

KEYRING_FILE = "keyring.json"
NONCE_BYTES = 12
KEY_BYTES = 32


class BadKeyring(ValueError):
    """The key-encryption keys cannot be read; the message never shows one."""


class GivenBySettings(RuntimeError):
    """The keys come from the settings, so only their owner can add or remove one."""


@dataclass(frozen=True)
class _Keys:
    current: str
    by_id: Mapping[str, bytes]
    created_at: Mapping[str, datetime]


class Keyring:
    """The key-encryption keys of an installation; a key another process added is found when it is needed."""

    def __init__(self, path: Path | None, keys: _Keys) -> None:
        """Hold keys; use ``of`` or ``given``."""
        self._path = path
        self._keys = keys
        self._seen = _signature(path)

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """Return the keys the settings give, or those of the data folder, generated on first use.

        Raises:
            BadKeyring: they cannot be read.
        """
        if settings.key_encryption_keys is not None:
            return cls.given(settings.key_encryption_keys.get_secret_value())
        path = settings.data_dir / KEYRING_FILE
        if not path.exists():
            _create(path)
        return cls(path, _read(path))

    @classmethod
    def given(cls, written: str) -> "Keyring":
        """Return keys from ``id:64 hexadecimal digits``, separated by commas, the newest first.

        Raises:
            BadKeyring: it is not written so.
        """
        pairs = [each.strip().partition(":") for each in written.split(",")]
        try:
            by_id = {name: _secret(text) for name, _, text in pairs}
        except ValueError:
            raise BadKeyring("expected key-encryption keys as id:64 hexadecimal digits, separated by commas") from None
        if len(by_id) < len(pairs) or not all(by_id):
            raise BadKeyring("expected key-encryption keys with ids, each different")
        return cls(None, _Keys(pairs[0][0], by_id, {}))

    @property
    def current(self) -> str:
        """The id of the key that wraps now."""
        self._look_again()
        return self._keys.current

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, oldest last."""
        self._look_again()
        return tuple(self._keys.by_id)

    @property
    def current_since(self) -> datetime | None:
        """When the key that wraps now was made; None for keys from the settings, which do not say."""
        return self._keys.created_at.get(self.current)

    def replaced_before(self, moment: datetime) -> list[str]:
        """Return the keys that another replaced before a moment; none of those given by settings, which do not say."""
        self._look_again()
        names = list(self._keys.by_id)
        made = self._keys.created_at
        return [old for new, old in pairwise(names) if new in made and made[new] < moment]

    def wrap(self, data_key: bytes, bound_to: bytes) -> tuple[str, bytes]:
        """Encrypt a data key; ``bound_to`` is needed again to open it.

        Returns:
            The id of the key it is wrapped under, and the wrapped key.
        """
        name = self.current
        nonce = secrets.token_bytes(NONCE_BYTES)
        return name, nonce + AESGCM(self._keys.by_id[name]).encrypt(nonce, data_key, bound_to)

    def unwrap(self, name: str, wrapped: bytes, bound_to: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            CannotOpen: the key is not here, or the bytes or what they are bound to differ.
        """
        if name not in self._keys.by_id:
            self._look_again()
        if name not in self._keys.by_id:
            raise CannotOpen(f"the key-encryption key {name!r} is not here")
        try:
            return AESGCM(self._keys.by_id[name]).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):
            raise CannotOpen(f"a data key does not open with the key-encryption key {name!r}") from None

    def add(self) -> str:
        """Generate a key, which wraps from now on, and return its id.

        Raises:
            GivenBySettings: the keys are not ours to add to.
        """
        path, keys = self._ours()
        name, secret = _new()
        created = {name: datetime.now(UTC), **keys.created_at}
        self._write(path, _Keys(name, {name: secret, **keys.by_id}, created))
        return name

    def remove(self, name: str) -> None:
        """Forget a key that no data key is wrapped under any more.

        Raises:
            GivenBySettings: the keys are not ours to remove from.
            ValueError: it is the key that wraps now.
        """
        path, keys = self._ours()
        if name == keys.current:
            raise ValueError(f"{name} is the key that wraps now")
        left = {each: secret for each, secret in keys.by_id.items() if each != name}
        self._write(path, _Keys(keys.current, left, {each: keys.created_at[each] for each in left}))

    def _ours(self) -> tuple[Path, _Keys]:
        if self._path is None:
            raise GivenBySettings("the key-encryption keys are given by KAIROS_KEY_ENCRYPTION_KEYS: change them there")
        self._look_again()
        return self._path, self._keys

    def _write(self, path: Path, keys: _Keys) -> None:
        write_private(path, _written(keys))
        self._keys, self._seen = keys, _signature(path)

    def _look_again(self) -> None:
        if self._path is not None and (now := _signature(self._path)) != self._seen:
            self._keys, self._seen = _read(self._path), now


def _signature(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError as error:
        raise BadKeyring(f"{path} cannot be read ({error.strerror})") from None
    return found.st_ino, found.st_mtime_ns


def _new() -> tuple[str, bytes]:
    return f"k{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    name, secret = _new()
    handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(_written(_Keys(name, {name: secret}, {name: datetime.now(UTC)})))
        file.flush()
        os.fsync(file.fileno())
    # A link fails when another process was first, so that two starts never end with two keyrings.
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    Path(draft).unlink()


def _written(keys: _Keys) -> str:
    rows = [
        {"id": name, "secret": secret.hex(), "created_at": keys.created_at[name].isoformat()}
        for name, secret in keys.by_id.items()
    ]
    return json.dumps({"current": keys.current, "keys": rows}, indent=1) + "\n"


def _read(path: Path) -> _Keys:
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        rows = document["keys"]
        by_id = {row["id"]: _secret(row["secret"]) for row in rows}
        created = {row["id"]: datetime.fromisoformat(row["created_at"]) for row in rows}
        current = document["current"]
    except (OSError, ValueError, KeyError, TypeError):
        # Not chained: the text of a JSON error shows a part of the file.
        raise BadKeyring(f"{path} is not a keyring of Kairos") from None
    if current not in by_id:
        raise BadKeyring(f"{path} does not hold the key it calls current")
    return _Keys(current, by_id, created)


def _secret(text: str) -> bytes:
    secret = bytes.fromhex(text)
    if len(secret) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    return secret
