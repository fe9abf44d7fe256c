"""Which model serves: the champion's verified bundle, swapped in by a background thread, the last good one otherwise.

A decision only ever takes ``current``, which never waits. MLflow may be down, at start or later; a bundle that is
missing, changed or fails its canary rows is never used, and what served before goes on serving.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

import structlog
from prometheus_client import Counter, Gauge

from adapters import bundle
from adapters.bundle import Bundle, BundleVerifier
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore
from adapters.mlflow_rest import AliasUnavailable, ModelAlias
from adapters.secrets import SecretBox
from adapters.settings import Settings
from feature_repo.engagement import catalog
from models.engagement.score import Scorer

MODEL = "engagement"
ALIAS, SHADOW = "champion", "shadow"
LAST_GOOD = "last_good.json"
_STOP_SECONDS = 5.0

_log = structlog.get_logger(__name__)
_LOADED = Gauge(
    "kairos_model_loaded", "1 for the version that serves.", ("model", "version"), multiprocess_mode="mostrecent"
)
_SHADOWS = Gauge(
    "kairos_shadow_loaded", "1 for the version that is compared.", ("model", "version"), multiprocess_mode="mostrecent"
)
_REFUSED = Counter("kairos_model_refused", "Bundles that were wanted and not loaded.", ("model",))


class Loaded(Protocol):
    """A model version ready to use, whatever it says."""

    @property
    def version(self) -> str:
        """Registered version."""

    @property
    def digest(self) -> str:
        """SHA-256 of its bundle's manifest."""

    @property
    def run_id(self) -> str:
        """The run that trained it."""


AnyLoaded = TypeVar("AnyLoaded", bound=Loaded)


@dataclass(frozen=True)
class LoadedModel:
    """A model version ready to decide with, and the features it reads."""

    name: str
    version: str
    digest: str
    run_id: str
    feature_service: str
    scorer: Scorer
    store: FeatureStore


@dataclass(frozen=True)
class ModelStatus:
    """What operators need to know.

    ``wanted`` is the version the alias named when MLflow last answered; ``problem`` says why ``loaded`` is another.
    """

    loaded: str | None = None
    wanted: str | None = None
    alias_answers: bool = False
    problem: str | None = None

    @property
    def is_as_wanted(self) -> bool:
        """True when the champion itself serves."""
        return self.loaded is not None and self.loaded == self.wanted


class ServedModels(Generic[AnyLoaded]):
    """The serving version of one model and the thread that keeps it current."""

    def __init__(
        self,
        *,
        folder: Path,
        alias: ModelAlias,
        verifier: BundleVerifier,
        load: Callable[[Bundle], AnyLoaded],
        poll_seconds: float,
        name: str = MODEL,
        alias_name: str = ALIAS,
    ) -> None:
        """Start nothing yet.

        Args:
            folder: where the model's bundles are, one folder for each version.
            alias: says which version is wanted.
            verifier: whose signature counts.
            load: makes a verified bundle ready and tries it; whatever it raises, the bundle is refused.
            poll_seconds: time between two looks at the alias.
            name: registered name of the model.
            alias_name: the alias; only the champion is remembered as the last good one.
        """
        self._name = name
        self._alias_name = alias_name
        self._gauge = _LOADED if alias_name == ALIAS else _SHADOWS
        self._folder = folder
        self._alias = alias
        self._verifier = verifier
        self._load = load
        self._poll_seconds = poll_seconds
        self._current: AnyLoaded | None = None
        self._status = ModelStatus()
        self._told: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{name}-models", daemon=True)

    @property
    def current(self) -> AnyLoaded | None:
        """The version to decide with now; None while there is none."""
        return self._current

    @property
    def status(self) -> ModelStatus:
        """What serves, what should, and why not."""
        return self._status

    def start(self) -> None:
        """Begin to load; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what serves goes on serving."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)
        self._alias.close()

    def check(self) -> None:
        """Do nothing when the champion serves, or the last good model while MLflow is away; for readiness.

        Raises:
            LookupError: rules decide, or an older version than wanted; the message says why.
        """
        status = self._status
        if status.loaded is None:
            raise LookupError(status.problem or "no model has been published yet")
        if status.alias_answers and not status.is_as_wanted:
            raise LookupError(status.problem or f"version {status.wanted} is wanted")

    def check_registry(self) -> None:
        """Do nothing when MLflow said at the last look which version is wanted; for readiness.

        Raises:
            AliasUnavailable: it did not, so that no new version is heard of.
        """
        if not self._status.alias_answers:
            raise AliasUnavailable("MLflow did not answer when it was last asked")

    def poll(self) -> None:
        """Look once which version is wanted and load it when it is another than serves."""
        if self._current is None and self._alias_name == ALIAS:
            self._resume()
        try:
            wanted = self._alias.version()
        except AliasUnavailable as error:
            self._note(alias_answers=False, problem=str(error))
            return
        if wanted is None or (self._current is not None and wanted == self._current.version):
            self._note(
                alias_answers=True, wanted=wanted, problem=None if wanted else f"no version is {self._alias_name}"
            )
        elif self._try(wanted, alias_answers=True, wanted=wanted) and self._alias_name == ALIAS:
            _write_pointer(self._folder / LAST_GOOD, wanted)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.poll()
            except Exception as error:  # noqa: BLE001 - a full disk must not end the thread that loads the next model
                self._tell(f"could not look for a model: {type(error).__name__}: {error}")
            self._stopping.wait(self._poll_seconds)

    def _resume(self) -> None:
        """Load what served last, so that a start needs nobody."""
        version = _read_pointer(self._folder / LAST_GOOD)
        if version is not None:
            self._try(version, alias_answers=False, wanted=None)

    def _try(self, version: str, *, alias_answers: bool, wanted: str | None) -> bool:
        try:
            verified = bundle.verify_and_open(
                self._folder / version, model=self._name, version=version, verifier=self._verifier
            )
            loaded = self._load(verified)
        except Exception as error:  # noqa: BLE001 - whatever a bundle makes us raise, what served before goes on
            self._refuse(f"version {version} is not loaded: {error}", alias_answers=alias_answers, wanted=wanted)
            return False
        self._swap(loaded)
        self._note(alias_answers=alias_answers, wanted=wanted, problem=None)
        return True

    def _swap(self, loaded: AnyLoaded) -> None:
        before, self._current = self._current, loaded
        self._told.clear()
        if before is not None:
            self._gauge.labels(self._name, before.version).set(0)
        self._gauge.labels(self._name, loaded.version).set(1)
        _log.info("model.loaded", model=self._name, version=loaded.version, digest=loaded.digest, run_id=loaded.run_id)

    def _refuse(self, problem: str, *, alias_answers: bool, wanted: str | None) -> None:
        if self._tell(problem):
            _REFUSED.labels(self._name).inc()
        self._note(alias_answers=alias_answers, wanted=wanted, problem=problem)

    def _tell(self, problem: str) -> bool:
        """Log a problem once, until a model is loaded; returns whether it was new."""
        is_new = problem not in self._told
        if is_new:
            self._told.add(problem)
            _log.error("model.refused", model=self._name, problem=problem, serving=self._status.loaded)
        return is_new

    def _note(self, *, alias_answers: bool, wanted: str | None = None, problem: str | None) -> None:
        loaded = self._current.version if self._current is not None else None
        known = wanted if alias_answers else self._status.wanted
        if alias_answers != self._status.alias_answers:
            _log.info("model.alias_answers" if alias_answers else "model.alias_does_not_answer", model=self._name)
        self._status = replace(self._status, loaded=loaded, wanted=known, alias_answers=alias_answers, problem=problem)


class EngagementModels(ServedModels[LoadedModel]):
    """The serving engagement model; while there is none rules decide."""

    @classmethod
    def of(cls, settings: Settings, endpoints: Endpoints, box: SecretBox, alias_name: str = ALIAS) -> Self:
        """Return the models of this installation that an alias names."""

        def load(verified: Bundle) -> LoadedModel:
            return ready(verified, redis_url=endpoints.redis_url, redis_timeout_ms=settings.redis_timeout_ms)

        return cls(
            folder=settings.bundle_dir.absolute() / MODEL,
            alias=ModelAlias(endpoints.mlflow_url, model=MODEL, alias=alias_name),
            verifier=BundleVerifier.of(box),
            load=load,
            poll_seconds=settings.model_poll_seconds,
            alias_name=alias_name,
        )


def ready(verified: Bundle, *, redis_url: str, redis_timeout_ms: int) -> LoadedModel:
    """Make a verified bundle ready to decide with, and let it prove itself on its canary rows.

    Raises:
        Exception: it is not usable, whatever the reason.
    """
    scorer = Scorer.from_files({name: body for name, body in verified.files.items() if name != bundle.REGISTRY})
    scorer.canary()
    store = FeatureStore.from_bundle(verified, redis_url=redis_url, timeout_ms=redis_timeout_ms)
    store.warm_up()
    known = {*store.columns, *(feature.name for feature in catalog.at_read_features())}
    if unknown := [name for name in scorer.features if name not in known]:
        raise LookupError(f"the model wants features that nothing here makes: {', '.join(unknown[:5])}")
    info = verified.info
    return LoadedModel(MODEL, info.version, verified.digest, info.run_id, info.feature_service, scorer, store)


def _read_pointer(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text())["version"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        _log.warning("model.last_good_unreadable", file=path.name)
        return None


def _write_pointer(path: Path, version: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with draft.open("w") as file:
            json.dump({"version": version}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
