"""The lineage of one tenant's decisions, both ways; behind ``kairos lineage``."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from adapters.postgres.decision_lineage import DecisionLineage, Touched
from domain.identity import subject_key
from feature_repo.engagement.catalog import LOOKBACK_DAYS

if TYPE_CHECKING:
    from adapters.mlflow_versions import KnownVersion
    from cli.installation import Installation
    from domain.tenants import Tenant

ACTOR = "operator"
LOOKBACK = timedelta(days=LOOKBACK_DAYS)
_DAY = timedelta(days=1)
_TOLD = {
    "data.snapshot_id": "training_snapshot",
    "data.first_day": "training_first_day",
    "data.last_day": "training_last_day",
    "training.cut": "training_cut",
    "dagster.run_id": "dagster_run",
    "dagster.asset_key": "dagster_asset",
    "dagster.partition": "dagster_partition",
    "code.version": "code_version",
}
"""Tags of a model version, and how they are told."""


class Trace:
    """Follows one tenant's decisions and events."""

    def __init__(self, here: "Installation", tenant: "Tenant", *, limit: int) -> None:
        self._here = here
        self._tenant = tenant
        self._limit = limit
        self._lineage = DecisionLineage(here.database)

    def decision(self, decision_id: str) -> dict[str, Any] | None:
        """Return what a decision stood on, or None where the tenant has no such decision."""
        record = self._lineage.record(self._tenant, decision_id)
        if record is None:
            return None
        self._lineage.note(self._tenant, f"decision:{decision_id}", actor=ACTOR)
        return {
            "tenant": self._tenant.tenant,
            "decision": decision_id,
            "decided_at": record["decided_at"],
            "versions": record["versions"],
            "model": self._model(record["model"]),
            "features": self._features(record.get("features_as_of")),
            "events": self._events(record),
        }

    def partition(self, day: date) -> dict[str, Any]:
        """Return the decisions that a day of events touched, by what they read and by what decided."""
        self._lineage.note(self._tenant, f"partition:{day}", actor=ACTOR)
        start = datetime.combine(day, time.min, UTC)
        read = self._lineage.by_features(self._tenant, after=start, until=start + _DAY + LOOKBACK, limit=self._limit)
        told: dict[str, Any] = {"tenant": self._tenant.tenant, "partition": day.isoformat()}
        return told | {"touched": {"features": _touched(read), "model": self._by_model(day)}}

    def event(self, event_id: str) -> dict[str, Any] | None:
        """Return the decisions that an event touched, or None where the tenant has no such event."""
        found = self._lineage.event(self._tenant, event_id)
        if found is None:
            return None
        self._lineage.note(self._tenant, f"event:{event_id}", actor=ACTOR)
        pseudonym = subject_key(self._tenant.subject_secret, found.recipient_id)
        read = self._lineage.by_features(
            self._tenant,
            after=found.occurred_at,
            until=found.occurred_at + LOOKBACK + _DAY,
            pseudonym=pseudonym,
            limit=self._limit,
        )
        day = found.occurred_at.astimezone(UTC).date()
        return {
            "tenant": self._tenant.tenant,
            "event": event_id,
            "type": found.type,
            "partition": day.isoformat(),
            "outcome_of": found.decision_id,
            "touched": {"features": _touched(read), "model": self._by_model(day)},
        }

    def _model(self, facts: Mapping[str, str] | None) -> dict[str, Any] | None:
        if facts is None:
            return None
        known = self._version(facts["name"], facts["version"])
        tags = known.tags if known is not None else {}
        more = {told: tags[name] for name, told in _TOLD.items() if name in tags}
        bundle = self._bundle(facts["name"], facts["version"])
        return {**facts, **({"training_snapshot": bundle} if bundle else {}), **more, "in_registry": known is not None}

    def _bundle(self, name: str, version: str) -> str | None:
        """Return the digest of the training set that the signed bundle names; it is known without MLflow."""
        from adapters.bundle import BundleRefused, BundleVerifier, verify_and_open
        from adapters.secrets import SecretBox
        from adapters.settings import load_settings

        settings = load_settings()
        folder = settings.bundle_dir.absolute() / name / version
        try:
            verifier = BundleVerifier.of(SecretBox.of(settings))
            return verify_and_open(folder, model=name, version=version, verifier=verifier).info.data_digest
        except BundleRefused:
            return None

    def _version(self, name: str, version: str) -> "KnownVersion | None":
        from adapters.endpoints import NotRunning, resolve
        from adapters.mlflow_rest import AliasUnavailable
        from adapters.mlflow_versions import ModelVersions
        from adapters.settings import load_settings

        try:
            versions = ModelVersions(resolve(load_settings()).mlflow_url)
        except NotRunning:
            return None
        try:
            return versions.version(name, version)
        except AliasUnavailable:
            return None
        finally:
            versions.close()

    def _features(self, as_of: Mapping[str, str | None] | None) -> dict[str, Any]:
        """Return the partitions behind each feature view that was read."""
        told = {}
        for view, written in (as_of or {}).items():
            if written is None:
                continue
            end = datetime.fromisoformat(written)
            last = (end - timedelta(microseconds=1)).astimezone(UTC).date()
            first = (end - LOOKBACK).astimezone(UTC).date()
            told[view] = {"as_of": written, "feature_day": last.isoformat(), "event_days": f"{first}...{last}"}
        return told

    def _events(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the recipient's events within the reach of what was read."""
        moments = [datetime.fromisoformat(each) for each in (record.get("features_as_of") or {}).values() if each]
        who = self._lineage.recipient(self._tenant, record["subject_key"]) if moments else None
        if who is None:
            return {"count": 0, "ids": [], "why": "no features were read" if not moments else "the person was erased"}
        until = max(moments)
        since = min(moments) - LOOKBACK
        found = self._lineage.events(self._tenant, who, since=since, until=until, limit=self._limit)
        return {"count": found.count, "ids": list(found.ids)}

    def _by_model(self, day: date) -> dict[str, Any]:
        """Return decisions of versions whose training days hold this day; versions MLflow cannot tell of are named."""
        from adapters.postgres.model_outcomes import ModelPerformance

        trained, unknown = [], []
        for each in ModelPerformance(self._here.database).versions(self._tenant):
            key = (each["name"], each["version"])
            known = self._version(*key)
            first, last = (known.tags.get(name) if known else None for name in ("data.first_day", "data.last_day"))
            if first is None or last is None:
                unknown.append(" ".join(key))
            elif date.fromisoformat(first) <= day <= date.fromisoformat(last):
                trained.append(key)
        touched = self._lineage.by_models(self._tenant, trained, limit=self._limit)
        told = {"versions": [" ".join(key) for key in trained], "versions_unknown": unknown}
        return told | _touched(touched)


def _touched(found: Touched) -> dict[str, Any]:
    told = asdict(found)
    return {"decisions": told["count"], "ids": list(told["ids"])}
