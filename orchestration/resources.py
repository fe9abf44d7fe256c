"""The stores the assets work with, built from the settings when a run first asks for one; nothing is opened earlier."""

from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any

import dagster as dg

from adapters import endpoints
from adapters.bundle import BundleSigner
from adapters.bundle_shelf import BundleShelf
from adapters.clock import Clock
from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from adapters.model_staging import ModelStaging
from adapters.postgres.engine import Database
from adapters.postgres.event_archive import EventArchive
from adapters.postgres.learning_facts import LearningFacts
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from adapters.tenant_clocks import TenantClocks

MODEL = "engagement"
_POOL = 2


def of(settings: Settings) -> dict[str, dg.ResourceDefinition]:
    """Return every resource by the name under which assets ask for it."""
    site = _Site(settings)
    made: dict[str, Callable[[], object]] = {
        "lake": lambda: Lake(settings.lake_dir.absolute()),
        "event_archive": lambda: EventArchive(site.batch(), since=date.fromisoformat(settings.first_partition_date)),
        "learning_facts": lambda: LearningFacts(site.batch()),
        "tenant_clocks": lambda: TenantClocks(Tenants(site.app(), SecretBox.of(settings)), Clock()),
        "clock": Clock,
        "feature_store": lambda: FeatureStore.of(settings, site.endpoints()),
        "model_registry": lambda: ModelRegistry(site.endpoints().mlflow_url, model=MODEL),
        "model_staging": lambda: ModelStaging(settings.data_dir.absolute() / "staging" / MODEL),
        "bundle_shelf": lambda: BundleShelf(
            settings.bundle_dir.absolute() / MODEL, BundleSigner.of(SecretBox.of(settings))
        ),
    }
    return {name: _resource(make) for name, make in made.items()}


class _Site:
    """The servers of these settings; a pool of connections is made once in a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.batch = cache(lambda: Database(self.endpoints().databases.batch, pool_size=_POOL))
        self.app = cache(lambda: Database(self.endpoints().databases.app, pool_size=_POOL))

    def endpoints(self) -> endpoints.Endpoints:
        """Return the addresses as they are now: embedded servers move when they are started again."""
        return endpoints.resolve(self._settings)


def _resource(make: Callable[[], object]) -> dg.ResourceDefinition:
    def build(_context: dg.InitResourceContext) -> Any:
        return make()

    return dg.ResourceDefinition(resource_fn=build)
