"""Features through Feast: registered once, joined as of a moment, written and read as absolute values.

An online read answers or raises within about twice its timeout. What is missing is None, never 0. Feast is imported
when first needed: it takes seconds.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from adapters import feast_library
from adapters.bundle import REGISTRY, Bundle
from adapters.endpoints import Endpoints
from adapters.redis.client import BACKGROUND_TIMEOUT_MS
from adapters.settings import Settings

if TYPE_CHECKING:
    import feast

    from adapters.redis.packed_rows import Layout

SERVICE = "engagement_v1"
HABITS, HABITS_VIEW = "habits_v1", "recipient_habits"
"""Service and view of what is read beside the engagement features, where it is registered."""
PROJECT = "kairos"
_ORDER = "kairos_row"
_SECONDS_TO_CONNECT = 3
_STEP = timedelta(microseconds=1)


class FeatureStoreUnavailable(RuntimeError):
    """The online store or the registry does not answer, or nothing is registered yet."""


class FeatureStore:
    """One Feast project and the service that is read from it."""

    def __init__(
        self,
        config: Callable[[], "feast.RepoConfig"],
        *,
        lake: Path | None,
        service: str = SERVICE,
        besides: Sequence[str] = (),
    ) -> None:
        """Open nothing yet.

        Args:
            config: makes Feast's configuration, when it is first needed.
            lake: folder of the Parquet tables; None where only online values are read.
            service: name of the Feast service.
            besides: views that ``online`` reads too, where they are registered.
        """
        self.service = service
        self._besides = besides
        self._config = config
        self._lake = lake

    @classmethod
    def of(cls, settings: Settings, endpoints: Endpoints) -> "FeatureStore":
        """Return the store of assets and consumer: SQL registry, DuckDB over the lake, Redis."""
        online = {"url": endpoints.redis_url, "timeout_ms": BACKGROUND_TIMEOUT_MS}
        return cls(lambda: _shared(endpoints.databases.feast, online), lake=settings.lake_dir.absolute())

    @classmethod
    def from_bundle(cls, bundle: Bundle, *, redis_url: str, timeout_ms: int) -> "FeatureStore":
        """Return the store of the service: definitions from a verified bundle, values from Redis, nothing else."""
        online = {"url": redis_url, "timeout_ms": timeout_ms}
        registry = bundle.files[REGISTRY]
        service = bundle.info.feature_service
        return cls(lambda: _sealed(registry, online), lake=None, service=service, besides=(HABITS_VIEW,))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the stored features, in the order in which they were declared."""
        return tuple(name for layout in self._layouts for name in layout.names)

    def apply(self) -> None:
        """Register entities, views and service; what was materialized stays known.

        Call it when Kairos is set up, not with every run.
        """
        from feature_repo import definitions

        with _quiet(), _answering():
            self._feast.apply(definitions.build(str(self._lake)))
        self._forget_definitions()

    def register_if_new(self) -> bool:
        """Register what this code declares unless its services are known already; returns whether that was needed.

        Raises:
            FeatureStoreUnavailable: the registry does not answer.
        """
        feast_library.load()
        from feast.errors import FeastObjectNotFoundException

        try:
            with _quiet(), _answering():
                for service in (self.service, HABITS):
                    self._feast.get_feature_service(service)
        except FeatureStoreUnavailable as error:
            if not isinstance(error.__cause__, FeastObjectNotFoundException):
                raise
            self.apply()
            return True
        return False

    def historical(self, rows: pd.DataFrame, *, at: str = "decided_at") -> pd.DataFrame:
        """Join features as they were known at each row's moment.

        Args:
            rows: ``tenant``, ``recipient_id`` and the moment (aware UTC), with any other columns.
            at: name of the moment's column.

        Returns:
            The rows as given, in their order, followed by ``columns``. A feature row counts when both its ``as_of``
            and its ``created_at`` are not after the moment: a later correction is not knowledge of the time.
        """
        asked = rows[["tenant", "recipient_id", at]].rename(columns={at: "event_timestamp"})
        asked = asked.assign(event_timestamp=asked["event_timestamp"].astype("datetime64[us, UTC]"))
        with _quiet(), _answering():
            service = self._feast.get_feature_service(self.service)
            job = self._feast.get_historical_features(
                entity_df=asked.assign(**{_ORDER: range(len(asked))}).reset_index(drop=True),
                features=service,
                filter_by_created_timestamp=True,
            )
            joined: pd.DataFrame = job.to_df().set_index(_ORDER).sort_index()
        features = joined[list(self.columns)].set_axis(rows.index, axis=0)
        return pd.concat([rows, features], axis=1)

    def materialize(self, start: datetime, end: datetime) -> None:
        """Load the lake's rows with ``start < as_of <= end`` into the online store.

        A row that is newer online, such as the consumer's, stays.
        """
        with _quiet(), _answering():
            self._feast.materialize(start + _STEP, end, feature_views=[view.name for view in self._views])

    def write(self, features: pd.DataFrame) -> None:
        """Replace online values by those of a feature table, row by row stamped with its ``as_of``.

        Args:
            features: what ``transform.from_events`` returns. A row older than the stored one changes nothing.
        """
        with _answering():
            for view in self._views:
                if absent := [field.name for field in view.features if field.name not in features]:
                    raise ValueError(f"the feature table lacks {', '.join(absent)} of view {view.name}")
                self._online_store.write_table(self._feast.config, view, features)

    def write_habits(self, rows: pd.DataFrame) -> None:
        """Replace online habits by those of a table, row by row stamped with its ``as_of``.

        Args:
            rows: ``tenant``, ``recipient_id``, ``as_of`` and the columns of ``feature_repo.habits``.

        Raises:
            FeatureStoreUnavailable: Redis does not answer, or the view is not registered.
        """
        with _answering():
            self._online_store.write_table(self._feast.config, self._feast.get_feature_view(HABITS_VIEW), rows)

    def online(
        self, tenant: str, recipient_ids: Sequence[str], *, seconds: float | None = None
    ) -> dict[str, list[Any]]:
        """Read every stored feature of some recipients.

        Args:
            tenant: whose recipients.
            recipient_ids: whom to read.
            seconds: what is left for it; never more than the store's own limit. None is that limit.

        Returns:
            Values by feature in declared order, then those of the views besides, one for each recipient in the order
            given; None for what is missing. Moments are aware UTC. Nothing is judged by its age here.

        Raises:
            FeatureStoreUnavailable: Redis does not answer in time.
        """
        with _answering():
            store, config = self._online_store, self._feast.config
            views = [view.name for view in (*self._views, *self._extra_views)]
            layouts = (*self._layouts, *self._extra_layouts)
            rows = store.read(config, [self._key(tenant, each) for each in recipient_ids], views, seconds=seconds)
            values = [
                [
                    value
                    for layout, row in zip(layouts, each, strict=True)
                    for value in store.values(config, layout, row)
                ]
                for each in rows
            ]
        named = [name for layout in layouts for name in layout.names]
        columns = zip(*values, strict=True) if values else ([] for _ in named)
        return dict(zip(named, map(list, columns), strict=True))

    def registry_bytes(self) -> bytes:
        """Return every definition that is registered, for a serving bundle; the same ones are the same bytes."""
        with _quiet(), _answering():
            from adapters import sealed_registry

            return sealed_registry.definitions_only(self._feast.registry.proto())

    def warm_up(self) -> None:
        """Import Feast and read the registry, so that no decision waits for it."""
        with _answering():
            self.columns, self._extra_layouts  # noqa: B018 - computed once and kept

    def close(self) -> None:
        """Close every connection; the next call would open new ones."""
        if "_feast" in self.__dict__:
            registry = self._feast.registry
            for name in ("write_engine", "read_engine"):
                if engine := getattr(registry, name, None):
                    engine.dispose()
            self._online_store.client(self._feast.config).close()

    @cached_property
    def _feast(self) -> "feast.FeatureStore":
        return feast_library.load().FeatureStore(config=self._config())

    @cached_property
    def _online_store(self) -> Any:
        return self._feast._get_provider().online_store  # noqa: SLF001 - Feast has no public name for it

    @cached_property
    def _views(self) -> "tuple[feast.FeatureView, ...]":
        projections = self._feast.get_feature_service(self.service).feature_view_projections
        return tuple(self._feast.get_feature_view(projection.name) for projection in projections)

    @cached_property
    def _extra_views(self) -> "tuple[feast.FeatureView, ...]":
        known = {view.name: view for view in self._feast.list_feature_views()} if self._besides else {}
        return tuple(known[name] for name in self._besides if name in known)

    @cached_property
    def _extra_layouts(self) -> "tuple[Layout, ...]":
        from adapters.redis.online_store import layout_of

        return tuple(map(layout_of, self._extra_views))

    @cached_property
    def _layouts(self) -> "tuple[Layout, ...]":
        from adapters.redis.online_store import layout_of

        return tuple(map(layout_of, self._views))

    def _key(self, tenant: str, recipient_id: str) -> bytes:
        from adapters.redis.online_store import key

        return key(PROJECT, tenant, recipient_id)

    def _forget_definitions(self) -> None:
        for name in ("_views", "_layouts", "columns", "_extra_views", "_extra_layouts"):
            self.__dict__.pop(name, None)


def command_environment(settings: Settings, endpoints: Endpoints) -> dict[str, str]:
    """Return the variables with which feature_repo/feature_store.yaml works, for the ``feast`` command."""
    return {
        "FEAST_REGISTRY_URL": endpoints.databases.feast,
        "FEAST_REDIS_URL": endpoints.redis_url,
        "FEAST_LAKE": str(settings.lake_dir.absolute()),
    }


def _shared(registry_url: str, online: dict[str, Any]) -> "feast.RepoConfig":
    limits = {"connect_timeout": _SECONDS_TO_CONNECT, "options": "-c statement_timeout=60000"}
    return _config(
        {
            "registry_type": "sql",
            "path": registry_url,
            "serve_features_while_materializing": True,
            "sqlalchemy_config_kwargs": {"pool_pre_ping": True, "pool_size": 2, "connect_args": limits},
        },
        online,
    )


def _sealed(registry: bytes, online: dict[str, Any]) -> "feast.RepoConfig":
    feast_library.load()
    from adapters import sealed_registry

    path = sealed_registry.seal(registry)
    return _config({"registry_store_type": sealed_registry.NAME, "path": path, "cache_ttl_seconds": 0}, online)


def _config(registry: dict[str, Any], online: dict[str, Any]) -> "feast.RepoConfig":
    library = feast_library.load()
    from adapters.redis import online_store

    config: feast.RepoConfig = library.RepoConfig(
        project=PROJECT,
        provider="local",
        registry=registry,
        online_store={"type": online_store.NAME, **online},
        offline_store={"type": "duckdb"},
        entity_key_serialization_version=3,
    )
    config.repo_path = Path.cwd()
    return config


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars, colours and the library's own deprecations out of our output."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    feast_library.load()
    from feast.errors import FeastObjectNotFoundException

    try:
        yield
    except RedisError as error:
        raise FeatureStoreUnavailable(f"the online store does not answer: {type(error).__name__}") from error
    except SQLAlchemyError as error:
        raise FeatureStoreUnavailable(f"the feature registry does not answer: {type(error).__name__}") from error
    except FeastObjectNotFoundException as error:
        raise FeatureStoreUnavailable(f"nothing is registered under this name: {error}") from error
