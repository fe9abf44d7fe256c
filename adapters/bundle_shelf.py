"""The folder of one model's serving bundles: the service reads it, promotion writes it, nothing else does."""

from collections.abc import Mapping
from pathlib import Path

from adapters import bundle
from adapters.bundle import BundleInfo, BundleRefused, BundleSigner


class BundleShelf:
    """Publishes signed bundles; a version that is there and verifies is never written again."""

    def __init__(self, parent: Path, signer: BundleSigner) -> None:
        self._parent = parent
        self._signer = signer

    def publish(self, info: BundleInfo, files: Mapping[str, bytes]) -> Path:
        """Make sure the version's bundle is on disk, and return where.

        Raises:
            BundleRefused: the version is there, but it is not what was published.
        """
        path = self._parent / info.version
        if path.exists():
            bundle.verify_and_open(path, model=info.model, version=info.version, verifier=self._signer.verifier)
            return path
        return bundle.write(self._parent, info, files, signer=self._signer)

    def holds(self, model: str, version: str) -> bool:
        """Tell whether the version's bundle is there and verifies."""
        try:
            bundle.verify_and_open(self._parent / version, model=model, version=version, verifier=self._signer.verifier)
        except BundleRefused:
            return False
        return True


class BundleShelves:
    """The shelves of every model, one folder each below one folder."""

    def __init__(self, parent: Path, signer: BundleSigner) -> None:
        self._parent = parent
        self._signer = signer

    def of(self, model: str) -> BundleShelf:
        """Return the shelf of a model."""
        return BundleShelf(self._parent / model, self._signer)
