"""Trained models on disk until the registry has them: an outage after the training loses nothing."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from adapters.model_registry import Training

_RECORD = "training.json"


class ModelStaging:
    """Keeps trained models by a name that stands for what went into them; a model is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, name: str, training: Training) -> Path:
        """Keep a model and return where."""
        draft, target = self._root / f".{name}", self._root / name
        shutil.rmtree(draft, ignore_errors=True)
        bodies: Mapping[str, Mapping[str, bytes]] = {"files": training.files, "figures": training.figures}
        for folder, named in bodies.items():
            for path, body in named.items():
                file = draft / folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body)
        told = {key: value for key, value in asdict(training).items() if key not in bodies}
        (draft / _RECORD).write_text(json.dumps(told, indent=1, sort_keys=True))
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
        return target

    def get(self, name: str) -> Training | None:
        """Return a model that is kept, or None."""
        folder = self._root / name
        if not folder.is_dir():
            return None
        told = json.loads((folder / _RECORD).read_text())
        return Training(files=_read(folder / "files"), figures=_read(folder / "figures"), **told)

    def drop(self, name: str) -> None:
        """Forget a model: the registry has it."""
        shutil.rmtree(self._root / name, ignore_errors=True)


def _read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
