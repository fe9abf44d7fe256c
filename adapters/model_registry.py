"""The model registry in MLflow: what was trained, from what, how good it is, and which version is the champion.

A trained model is on our disk before MLflow hears of it; when the server does not answer, nothing is lost and the
next attempt registers the same files. An alias moves only by ``set_alias``.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pandas as pd

from adapters.settings import silence_telemetry

CHAMPION, CHALLENGER, SHADOW, PREVIOUS = "champion", "challenger", "shadow", "previous"
"""Who decides; who was registered last; who passed the gate and is compared on live decisions; who decided before."""
EXPERIMENT = "kairos"
_CODE = Path(__file__).parents[1]
_REQUIREMENTS = ("xgboost", "numpy", "pandas", "pydantic")
_SECONDS_TO_ANSWER = 5.0
_RETRIES = "2"
_REQUEST_SECONDS = "30"


class RegistryUnavailable(ConnectionError):
    """The MLflow server does not answer; what was trained is kept on disk."""


class NoSuchVersion(LookupError):
    """No version of the model has this number or alias."""


@dataclass(frozen=True)
class Training:
    """A trained model with everything that is known about it.

    ``files`` are the model itself; ``figures`` are PNG images; ``reports`` are text, or anything that JSON can hold;
    ``tags`` go on the run and on the version. ``scorer`` is the module whose ``Scorer`` reads the files.
    """

    files: Mapping[str, bytes]
    features: Sequence[str]
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    figures: Mapping[str, bytes] = field(default_factory=dict)
    reports: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    scorer: str = "models.engagement.score"


@dataclass(frozen=True)
class DataSet:
    """The rows a model was trained on: the frame, what it is called, where it lies, and its digest."""

    rows: pd.DataFrame
    name: str
    source: str
    digest: str
    label: str


@dataclass(frozen=True)
class Version:
    """One registered version; ``model`` is the registered name."""

    model: str
    version: str
    run_id: str
    tags: Mapping[str, str]


class ModelRegistry:
    """Registers versions of one model and moves its aliases."""

    def __init__(self, url: str, *, model: str) -> None:
        self.url = url
        self.model = model

    def log(self, training: Training, data: DataSet, *, run_name: str) -> Version:
        """Register a trained model with its run: parameters, metrics, figures, signature, data and lineage.

        Raises:
            RegistryUnavailable: the server did not take all of it; a run begun is marked failed.
        """
        with self._answering() as mlflow:
            mlflow.set_experiment(EXPERIMENT)
            with mlflow.start_run(run_name=run_name, tags=dict(training.tags)) as run:
                mlflow.log_params({name: str(value)[:500] for name, value in training.params.items()})
                mlflow.log_input(_dataset(mlflow, data), context="training")
                number, model_id = self._log_model(mlflow, training)
                mlflow.log_metrics(dict(training.metrics), model_id=model_id)
                for name, image in training.figures.items():
                    _log_bytes(mlflow, name, image)
                for name, report in training.reports.items():
                    (mlflow.log_text if isinstance(report, str) else mlflow.log_dict)(report, name)
            return Version(self.model, number, run.info.run_id, dict(training.tags))

    def log_search(
        self,
        run_name: str,
        trials: Sequence[tuple[Mapping[str, float], float]],
        *,
        params: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> str:
        """Keep a search as one run with a run inside it for each trial, and return its id.

        Args:
            run_name: of the outer run.
            trials: parameters and loss of each.
            params: the ones that were best.
            tags: that lead back to who searched.

        Raises:
            RegistryUnavailable: the server did not take all of it.
        """
        with self._answering() as mlflow:
            mlflow.set_experiment(EXPERIMENT)
            with mlflow.start_run(run_name=run_name, tags=dict(tags)) as run:
                mlflow.log_params({f"best.{name}": number for name, number in params.items()})
                mlflow.log_metrics({"trials": len(trials), "best_loss": min(loss for _, loss in trials)})
                for place, (tried, loss) in enumerate(trials):
                    with mlflow.start_run(run_name=f"{run_name}:{place}", nested=True):
                        mlflow.log_params(dict(tried))
                        mlflow.log_metric("loss", loss)
            return str(run.info.run_id)

    def version(self, alias: str) -> Version | None:
        """Return the version an alias names, or None when it names none.

        Raises:
            RegistryUnavailable: the server does not answer.
        """
        with self._answering() as mlflow:
            try:
                found = mlflow.MlflowClient().get_model_version_by_alias(self.model, alias)
            except mlflow.exceptions.MlflowException as error:
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise
            return Version(self.model, str(found.version), found.run_id, dict(found.tags))

    def numbered(self, number: str) -> Version:
        """Return a version by its number.

        Raises:
            RegistryUnavailable: the server does not answer, or has no such version.
        """
        with self._answering() as mlflow:
            found = mlflow.MlflowClient().get_model_version(self.model, number)
            return Version(self.model, str(found.version), found.run_id, dict(found.tags))

    def files(self, version: Version) -> dict[str, bytes]:
        """Return the files of a version, as they were registered.

        Raises:
            RegistryUnavailable: the server does not answer.
            NoSuchVersion: the version has no files any more, or other ones than were registered.
        """
        wanted = json.loads(version.tags.get(_FILES_TAG, "{}"))
        with self._answering() as mlflow, tempfile.TemporaryDirectory() as folder:
            uri = f"models:/{self.model}/{version.version}"
            path = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/artifacts", dst_path=folder))
            found = {file.name: file.read_bytes() for file in path.iterdir()}
        if not wanted or _hashes(found) != wanted:
            raise NoSuchVersion(f"version {version.version} of {self.model} has not the files that were registered")
        return found

    def tag(self, version: Version, tags: Mapping[str, str]) -> Version:
        """Add tags to a version and return it with them."""
        with self._answering() as mlflow:
            client = mlflow.MlflowClient()
            for name, text in tags.items():
                client.set_model_version_tag(self.model, version.version, name, text)
        return Version(version.model, version.version, version.run_id, {**version.tags, **tags})

    def attach(
        self, version: Version, *, figures: Mapping[str, bytes] = MappingProxyType({}), reports: Mapping[str, object]
    ) -> None:
        """Keep pictures and reports with the run of a version; those of the same name are replaced."""
        with self._answering() as mlflow:
            client = mlflow.MlflowClient()
            for name, report in reports.items():
                client.log_dict(version.run_id, report, name)
            for name, image in figures.items():
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / Path(name).name
                    path.write_bytes(image)
                    client.log_artifact(version.run_id, str(path), str(Path(name).parent))

    def set_alias(self, alias: str, version: Version) -> None:
        """Let an alias name this version from now on."""
        with self._answering() as mlflow:
            mlflow.MlflowClient().set_registered_model_alias(self.model, alias, version.version)

    def page(self, version: Version) -> str:
        """Return the address of a version's page."""
        return f"{self.url}/#/models/{self.model}/versions/{version.version}"

    def _log_model(self, mlflow: Any, training: Training) -> tuple[str, str]:
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        inputs = Schema([ColSpec("float", name) for name in training.features])
        outputs = Schema([ColSpec("double")])
        tags = {**training.tags, _FILES_TAG: json.dumps(_hashes(training.files), sort_keys=True)}
        with tempfile.TemporaryDirectory() as folder:
            paths = {name: Path(folder) / name for name in training.files}
            for name, path in paths.items():
                path.write_bytes(training.files[name])
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("mlflow_model.py")),
                artifacts={name: str(path) for name, path in paths.items()},
                model_config={"scorer": training.scorer},
                code_paths=[str(_CODE / "models"), str(_CODE / "domain")],
                signature=ModelSignature(inputs=inputs, outputs=outputs),
                pip_requirements=[f"{name}=={installed(name)}" for name in _REQUIREMENTS],
                registered_model_name=self.model,
            )
        number = str(info.registered_model_version)
        for name, text in tags.items():
            mlflow.MlflowClient().set_model_version_tag(self.model, number, name, text)
        return number, info.model_id

    @contextlib.contextmanager
    def _answering(self) -> Iterator[Any]:
        """Yield MLflow, set to our server; raise at once when the server does not answer."""
        try:
            httpx.get(f"{self.url}/health", timeout=_SECONDS_TO_ANSWER).raise_for_status()
        except httpx.HTTPError as error:
            raise RegistryUnavailable(f"MLflow at {self.url} does not answer: {type(error).__name__}") from error
        mlflow = _mlflow()
        mlflow.set_tracking_uri(self.url)
        with _quiet():
            try:
                yield mlflow
            except (mlflow.exceptions.MlflowException, OSError) as error:
                raise RegistryUnavailable(f"MLflow at {self.url} refused: {error}") from error


class Registries:
    """The registries of every model of one MLflow server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def of(self, model: str) -> ModelRegistry:
        """Return the registry of one model, by its registered name."""
        return ModelRegistry(self.url, model=model)


_FILES_TAG = "kairos.files"


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}


def _dataset(mlflow: Any, data: DataSet) -> Any:
    # MLflow keeps 36 characters of a digest.
    return mlflow.data.from_pandas(
        data.rows, source=data.source, name=data.name, targets=data.label, digest=data.digest[:36]
    )


def _log_bytes(mlflow: Any, name: str, body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(body)
        mlflow.log_artifact(str(path), artifact_path=str(Path(name).parent) if Path(name).parent.name else None)


def _mlflow() -> Any:
    """Import MLflow, told to give up soon and to keep its remarks to itself."""
    silence_telemetry()
    import mlflow
    from mlflow.environment_variables import (
        MLFLOW_HTTP_REQUEST_MAX_RETRIES,
        MLFLOW_HTTP_REQUEST_TIMEOUT,
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
    )

    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_RETRIES)
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(_REQUEST_SECONDS)
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set("true")
    return mlflow


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and remarks of the library out of our output."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with (
        open(os.devnull, "w") as nothing,  # noqa: PTH123
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
