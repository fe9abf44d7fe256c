"""One small installation for tests of the lineage: its tables, its registry, its runs."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import psycopg
from sqlalchemy import make_url

from adapters import endpoints
from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from adapters.model_registry import ModelRegistry
from adapters.model_staging import ModelStaging
from adapters.settings import Settings
from orchestration import runs
from orchestration.runs import Outcome
from tests import synthetic

TENANT = "shop"
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
NEVER_ASKED = 5
"""The first so many recipients never allowed personalization."""
WITHDREW = f"{synthetic.PREFIX}0010"
WITHDREW_AT = synthetic.FIRST + timedelta(days=110)
"""Between the second and the third campaign."""


@dataclass(frozen=True)
class Installation:
    """One installation with one tenant, its data folder and the instance that keeps its runs."""

    settings: Settings
    admin_url: str
    data: synthetic.Synthetic
    instance: dg.DagsterInstance

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake_dir.absolute())

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.settings.mlflow_url or "", model="engagement")

    @property
    def unreachable_registry(self) -> ModelRegistry:
        return ModelRegistry("http://127.0.0.1:1", model="engagement")

    @property
    def staging(self) -> ModelStaging:
        return ModelStaging(self.settings.data_dir / "staging" / "engagement")

    @property
    def days(self) -> tuple[date, date]:
        return synthetic.FIRST.date(), self.last_day

    @property
    def last_day(self) -> date:
        return self.data.end.date() - timedelta(days=1)

    def run(self, job: str = "nightly_job", **more: Any) -> Outcome:
        """Run a job for every day, unless told otherwise."""
        return runs.run(self.settings, self.instance, job=job, **({"days": self.days} | more))

    def champion(self) -> str | None:
        version = self.registry.version("champion")
        return version.version if version else None

    def online(self) -> dict[str, list[Any]]:
        """Return what decisions read of every recipient."""
        store = FeatureStore.of(self.settings, endpoints.resolve(self.settings))
        try:
            return store.online(TENANT, list(self.data.recipients))
        finally:
            store.close()

    def table(self, name: str, day: date | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self.lake.read(name, day=day).to_pandas()
        return frame

    def as_owner(self, statement: str, *values: object) -> None:
        """Change a stored event behind everybody's back."""
        url = make_url(self.admin_url).set(drivername="postgresql", database="kairos")
        with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
            connection.execute(statement, values)

    def messages(self, outcome: Outcome) -> str:
        """Return everything the event log holds about a run, as one text."""
        return "\n".join(str(entry) for entry in self.instance.all_logs(outcome.run_id))

    def elsewhere(self, **settings: Any) -> "Installation":
        """Return the same installation with other settings."""
        return replace(self, settings=self.settings.model_copy(update=settings))
