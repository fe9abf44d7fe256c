"""Serving bundles: a folder with one model version, signed as a whole, the only thing the service loads.

Nothing in a bundle is parsed before its signature, its list of files and every hash hold. The Ed25519 key is derived
from the installation's master secret, so there is no second key file to lose; who has not the secret cannot publish.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, Field, ValidationError

from adapters.secrets import SecretBox
from domain.values import Frozen

REGISTRY = "registry.pb"
FILES = ("model.json", "calibration.json", "features.json", REGISTRY)
"""What a bundle of the engagement model consists of, besides manifest and signature."""
PARAMETERS = ("parameters.json",)
"""What a bundle of any other model consists of."""
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_MANIFEST_BYTES = 64 * 1024
_SIGNATURE_BYTES = 64
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def files_of(model: str) -> tuple[str, ...]:
    """Return the names of the files in a bundle of a model."""
    return FILES if model == "engagement" else PARAMETERS


class BundleRefused(ValueError):
    """A bundle is not exactly what was published; the message says which rule failed."""


class BundleExists(ValueError):
    """Another content is already published under this version."""


class BundleInfo(Frozen):
    """Where a bundle comes from."""

    model: str = Field(min_length=1)
    version: str = Field(pattern=f"^{_VERSION.pattern}$")
    run_id: str
    feature_service: str
    data_digest: str
    created_at: AwareDatetime


class _File(Frozen):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=MAX_FILE_BYTES)


class _Manifest(Frozen):
    info: BundleInfo
    files: dict[str, _File]


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, held in memory; ``digest`` is the SHA-256 of its manifest, in hexadecimal."""

    info: BundleInfo
    files: Mapping[str, bytes]
    digest: str


class BundleVerifier:
    """Knows the public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def of(cls, box: SecretBox) -> "BundleVerifier":
        """Return the verifier of this installation."""
        return BundleSigner.of(box).verifier

    def check(self, signature: bytes, content: bytes) -> None:
        """Do nothing when the signature is ours.

        Raises:
            BundleRefused: it is not.
        """
        try:
            self._key.verify(signature, content)
        except InvalidSignature:
            raise BundleRefused(f"{SIGNATURE} is not our signature of {MANIFEST}") from None


class BundleSigner:
    """Knows the private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def of(cls, box: SecretBox) -> "BundleSigner":
        """Return the signer of this installation."""
        return cls(Ed25519PrivateKey.from_private_bytes(box.key("bundle:ed25519")))

    @property
    def verifier(self) -> BundleVerifier:
        """Who checks what this signer signs."""
        return BundleVerifier(self._key.public_key())

    def sign(self, content: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(content)


def write(parent: Path, info: BundleInfo, files: Mapping[str, bytes], *, signer: BundleSigner) -> Path:
    """Publish a bundle as ``parent/<version>``, whole or not at all, and on disk when this returns.

    Args:
        parent: folder of the model's bundles; made when missing.
        info: where it comes from.
        files: content by name, exactly those of ``files_of`` its model.
        signer: signs the manifest.

    Raises:
        ValueError: the files are not exactly those.
        BundleExists: the version is published with another content. The same content again changes nothing.
    """
    wanted = files_of(info.model)
    if set(files) != set(wanted):
        raise ValueError(f"a bundle consists of {', '.join(wanted)}, not of {', '.join(sorted(files))}")
    listed = {name: _File(sha256=hashlib.sha256(body).hexdigest(), size=len(body)) for name, body in files.items()}
    target = parent / info.version
    if target.exists():
        return _same_or_refuse(target, info, listed, signer)
    manifest = _Manifest(info=info, files=listed).model_dump_json(indent=1).encode()
    parent.mkdir(parents=True, exist_ok=True)
    draft = parent / f".{info.version}.{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        for name, body in {**files, MANIFEST: manifest, SIGNATURE: signer.sign(manifest)}.items():
            _write_durably(draft / name, body)
        _sync_folder(draft)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _sync_folder(parent)
    return target


def verify_and_open(path: Path, *, model: str, version: str, verifier: BundleVerifier) -> Bundle:
    """Read a bundle after its signature, file list, sizes and hashes were found in order.

    Args:
        path: the bundle's folder.
        model: the model it must be of.
        version: the version it must be.
        verifier: whose signature counts.

    Raises:
        BundleRefused: it is not exactly a bundle of ours of that model and version.
    """
    if not _VERSION.fullmatch(version):
        raise BundleRefused("the version is not a plain name")
    if path.is_symlink() or not path.is_dir():
        raise BundleRefused("there is no bundle of this version")
    expected = {*files_of(model), MANIFEST, SIGNATURE}
    found = {entry.name for entry in os.scandir(path)}
    if found != expected:
        raise BundleRefused(f"files missing or not ours: {', '.join(sorted(found ^ expected)[:5])}")
    content = _read(path / MANIFEST, MAX_MANIFEST_BYTES)
    verifier.check(_read(path / SIGNATURE, _SIGNATURE_BYTES), content)
    manifest = _parse(content)
    if (manifest.info.model, manifest.info.version) != (model, version):
        raise BundleRefused(f"signed as {manifest.info.model} {manifest.info.version}, wanted {model} {version}")
    if set(manifest.files) != set(files_of(model)):
        raise BundleRefused(f"{MANIFEST} does not list exactly the files of a bundle")
    files = {name: _verified(path / name, listed) for name, listed in manifest.files.items()}
    return Bundle(manifest.info, files, hashlib.sha256(content).hexdigest())


def _same_or_refuse(target: Path, info: BundleInfo, listed: Mapping[str, _File], signer: BundleSigner) -> Path:
    published = verify_and_open(target, model=info.model, version=info.version, verifier=signer.verifier)
    hashes = {name: hashlib.sha256(body).hexdigest() for name, body in published.files.items()}
    if hashes != {name: file.sha256 for name, file in listed.items()}:
        raise BundleExists(f"version {info.version} of {info.model} is published with another content")
    return target


def _parse(content: bytes) -> _Manifest:
    try:
        return _Manifest.model_validate(json.loads(content))
    except (ValidationError, ValueError) as error:
        raise BundleRefused(
            f"{MANIFEST} is signed but has not the form of this version: {type(error).__name__}"
        ) from None


def _verified(path: Path, listed: _File) -> bytes:
    body = _read(path, listed.size)
    if len(body) != listed.size or hashlib.sha256(body).hexdigest() != listed.sha256:
        raise BundleRefused(f"{path.name} is not what was signed")
    return body


def _read(path: Path, limit: int) -> bytes:
    """Read a plain file of at most ``limit`` bytes; links and longer files are refused unread."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise BundleRefused(f"{path.name} cannot be read: {error.strerror}") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise BundleRefused(f"{path.name} is no plain file of at most {limit} bytes")
        return file.read(limit + 1)


def _write_durably(path: Path, body: bytes) -> None:
    with path.open("xb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
