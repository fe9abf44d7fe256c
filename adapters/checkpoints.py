"""Checkpoints of the audit chain: its size and head, signed (Ed25519), one file each that is never written again.

Whoever rewrites the whole chain in the database cannot rewrite what was signed. Each checkpoint holds the hash of the
one before. Keep the folder where the database's writers cannot reach it, or copy it there.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import AwareDatetime, Field, ValidationError

from adapters.secrets import SecretBox
from adapters.settings import Settings
from domain.audit import Head
from domain.values import Frozen

FOLDER = "audit-checkpoints"


class BadCheckpoint(ValueError):
    """A checkpoint is not one of ours, or the one before it is gone."""


class _Signed(Frozen):
    tenant: str
    size: int = Field(ge=1)
    head: str = Field(pattern=r"^[0-9a-f]{64}$")
    at: AwareDatetime
    before: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    signature: str = ""

    def content(self) -> bytes:
        return json.dumps(self.model_dump(mode="json", exclude={"signature"}), sort_keys=True).encode()


@dataclass(frozen=True)
class Checkpoint:
    """The chain as it was at a moment of real time."""

    head: Head
    at: datetime


class Checkpoints:
    """Writes and reads the checkpoints of an installation."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey) -> None:
        self._folder = folder
        self._key = key

    @classmethod
    def of(cls, settings: Settings, box: SecretBox) -> "Checkpoints":
        """Return the checkpoints of this installation; the signing key is derived from its master secret."""
        folder = settings.audit_checkpoint_dir or settings.data_dir / FOLDER
        return cls(folder, Ed25519PrivateKey.from_private_bytes(box.key("audit:ed25519")))

    def write(self, tenant: str, head: Head, *, at: datetime) -> Path | None:
        """Sign the end of a chain; returns the file, or None when that end is signed already or the chain is empty.

        Raises:
            BadCheckpoint: the last checkpoint is not ours; nothing is built upon it.
            OSError: the folder cannot be written.
        """
        known = self._files(tenant)
        last = self._read(known[-1]) if known else None
        if head.size == 0 or (last is not None and last.size >= head.size):
            return None
        before = hashlib.sha256(known[-1].read_bytes()).hexdigest() if known else None
        draft = _Signed(tenant=tenant, size=head.size, head=head.link.hex(), at=at, before=before)
        signed = draft.model_copy(update={"signature": self._key.sign(draft.content()).hex()})
        path = self._folder / f"{tenant}.{head.size:012d}.json"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
            file.write(signed.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return path

    def read(self, tenant: str) -> list[Checkpoint]:
        """Return a tenant's checkpoints, oldest first.

        Raises:
            BadCheckpoint: one is not ours, or one before it is gone.
        """
        found, before = [], None
        for path in self._files(tenant):
            signed = self._read(path)
            if signed.tenant != tenant or signed.before != before:
                raise BadCheckpoint(f"{path.name}: the checkpoint before it is gone, or it is another tenant's")
            before = hashlib.sha256(path.read_bytes()).hexdigest()
            found.append(Checkpoint(Head(signed.size, bytes.fromhex(signed.head)), signed.at))
        return found

    def newest_at(self, tenant: str) -> datetime | None:
        """Return when the newest checkpoint was written, None when there is none.

        Raises:
            BadCheckpoint: it is not ours.
        """
        known = self._files(tenant)
        return self._read(known[-1]).at if known else None

    def _files(self, tenant: str) -> list[Path]:
        # A tenant's name has no dot, so one tenant's files never match another's.
        return sorted(self._folder.glob(f"{tenant}.*.json"))

    def _read(self, path: Path) -> _Signed:
        try:
            signed = _Signed.model_validate_json(path.read_bytes())
            self._key.public_key().verify(bytes.fromhex(signed.signature), signed.content())
        except (ValidationError, ValueError, InvalidSignature):
            raise BadCheckpoint(f"{path.name} is not signed by this installation") from None
        return signed
