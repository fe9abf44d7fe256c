"""The stores the assets work with, built from the settings when a run asks for them and closed with it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import date

import dagster as dg

from adapters import endpoints
from adapters.bundle import BundleSigner
from adapters.bundle_shelf import BundleShelf, BundleShelves
from adapters.clock import Clock
from adapters.feature_store import FeatureStore
from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.model_registry import ModelRegistry, Registries
from adapters.model_staging import ModelStaging
from adapters.postgres.engine import Database
from adapters.postgres.event_archive import EventArchive
from adapters.postgres.learning_facts import LearningFacts
from adapters.postgres.model_audit import ModelAudit
from adapters.postgres.model_outcomes import ModelOutcomes
from adapters.postgres.profile_groups import ProfileGroups
from adapters.postgres.retention import Retention
from adapters.postgres.shadow_outcomes import ShadowOutcomes
from adapters.postgres.tenants import Tenants
from adapters.retention import Forgetter, periods_of
from adapters.secrets import SecretBox
from adapters.settings import Settings
from adapters.tenant_clocks import TenantClocks

MODEL = "engagement"
_POOL = 2

Make = Callable[[ExitStack], object]
"""Builds a resource; what it opens is closed with the stack."""


def of(settings: Settings) -> dict[str, dg.ResourceDefinition]:
    """Return every resource by the name under which assets ask for it."""
    site = _Site(settings)
    folder = settings.data_dir.absolute()
    made: dict[str, Make] = {
        "lake": lambda _: Lake(settings.lake_dir.absolute()),
        "event_archive": lambda open_: EventArchive(
            site.batch(open_), since=date.fromisoformat(settings.first_partition_date)
        ),
        "learning_facts": lambda open_: LearningFacts(site.batch(open_), settings.legal_rules),
        "model_outcomes": lambda open_: ModelOutcomes(site.batch(open_)),
        "shadow_outcomes": lambda open_: ShadowOutcomes(site.batch(open_)),
        "shadow_decisions": lambda _: settings.shadow_decisions,
        "profile_groups": site.profile_groups,
        "model_audit": site.model_audit,
        "tenant_clocks": lambda open_: TenantClocks(Tenants(site.app(open_), SecretBox.of(settings)), Clock()),
        "forgetter": site.forgetter,
        "clock": lambda _: Clock(),
        "feature_store": lambda open_: open_.enter_context(closing(FeatureStore.of(settings, site.endpoints()))),
        "model_registry": lambda _: ModelRegistry(site.endpoints().mlflow_url, model=MODEL),
        "registries": lambda _: Registries(site.endpoints().mlflow_url),
        "training_device": lambda _: settings.device,
        "model_staging": lambda _: ModelStaging(folder / "staging" / MODEL),
        "bundle_shelf": lambda _: BundleShelf(
            settings.bundle_dir.absolute() / MODEL, BundleSigner.of(SecretBox.of(settings))
        ),
        "bundle_shelves": lambda _: BundleShelves(
            settings.bundle_dir.absolute(), BundleSigner.of(SecretBox.of(settings))
        ),
    }
    return {name: _resource(make) for name, make in made.items()}


class _Site:
    """The servers of these settings, wherever they are when a run asks: embedded ones move with each start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def endpoints(self) -> endpoints.Endpoints:
        return endpoints.resolve(self._settings)

    def batch(self, open_: ExitStack) -> Database:
        return open_.enter_context(closing(Database(self.endpoints().databases.batch, pool_size=_POOL)))

    def app(self, open_: ExitStack) -> Database:
        keyring = Keyring.of(self._settings)
        database = Database(self.endpoints().databases.app, keyring=keyring, pool_size=_POOL)
        return open_.enter_context(closing(database))

    def profile_groups(self, open_: ExitStack) -> ProfileGroups:
        database = self.app(open_)
        return ProfileGroups(database, Tenants(database, SecretBox.of(self._settings)))

    def model_audit(self, open_: ExitStack) -> ModelAudit:
        database = self.app(open_)
        return ModelAudit(database, Tenants(database, SecretBox.of(self._settings)))

    def forgetter(self, open_: ExitStack) -> Forgetter:
        database = self.app(open_)
        retention = Retention(database, periods_of(self._settings))
        tenants = Tenants(database, SecretBox.of(self._settings))
        return Forgetter(retention, tenants, Clock(), Lake(self._settings.lake_dir.absolute()))


def _resource(make: Make) -> dg.ResourceDefinition:
    def build(_context: dg.InitResourceContext) -> Iterator[object]:
        with ExitStack() as open_:
            yield make(open_)

    return dg.ResourceDefinition(resource_fn=build)
