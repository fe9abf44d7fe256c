"""``/v1/models``: which models there are and which version serves, and how a version does on what it decided.

Numbers are about the caller's own decisions only; the registry's tags and aliases are the installation's.
"""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from adapters.mlflow_rest import AliasUnavailable
from adapters.mlflow_versions import KnownModel, KnownVersion
from domain.values import Frozen, Moment
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import ProblemCode, Refused, problems
from serving.http.routes import Route
from serving.parts import Parts

router = APIRouter(route_class=Route, prefix="/v1/models", tags=["models"])
Reader = Annotated[Caller, permission("models:read")]
ModelName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
VersionNumber = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
MOST_DAYS = 400


class VersionUse(Frozen):
    """A version that decided for the tenant."""

    version: str
    decisions: int
    first_decided_at: Moment
    last_decided_at: Moment


class ModelSummary(Frozen):
    """One model."""

    name: str
    aliases: dict[str, str] = Field(description="Version by alias: champion, challenger, shadow, previous.")
    versions: tuple[VersionUse, ...] = Field(description="Versions that decided for you, the newest first.")


class ModelList(Frozen):
    """Every model."""

    models: tuple[ModelSummary, ...]
    registry_answers: bool = Field(description="False: MLflow is away, and only what decided for you is listed.")


class Slice(Frozen):
    """Messages sent on the version's word whose window has closed, of one day, channel and type."""

    day: date = Field(description="UTC day of your clock.")
    channel: str
    message_type: str
    decisions: int
    expected: float = Field(description="Conversions the version predicted.")
    observed: int = Field(description="Conversions that came within the windows.")
    log_loss: float = Field(description="Nats per decision.")


class Performance(Frozen):
    """How a version did on all of them."""

    decisions: int
    expected: float
    observed: int
    observed_expected: float | None = Field(description="1 is right; null where nothing was expected.")
    log_loss: float | None


class ShadowSlice(Frozen):
    """Messages that another version sent and this one scored as its shadow, of one day, channel and type."""

    day: date = Field(description="UTC day of your clock.")
    champion: str = Field(description="The version that decided.")
    channel: str
    message_type: str
    decisions: int
    expected: float = Field(description="Conversions this version predicted.")
    champion_expected: float = Field(description="Conversions the version that decided predicted.")
    observed: int
    log_loss: float = Field(description="Of this version, nats per decision.")
    champion_log_loss: float


class VersionReport(Frozen):
    """One version of one model."""

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str | None
    created_at: Moment | None
    feature_service: str | None
    training_snapshot: str | None = Field(description="Digest of the rows it was trained on.")
    training_cut: str | None
    gate_passed: bool | None
    gate_reasons: str | None = Field(description="What did not hold, when it was refused.")
    rolled_back: str | None = Field(description="Why it was taken out of service, if it was.")
    metrics: dict[str, float] = Field(description="On rows after its training, as it was registered.")
    registry_answers: bool
    live: Performance
    slices: tuple[Slice, ...]
    shadow: tuple[ShadowSlice, ...] = Field(description="How it did as shadow, beside the version that decided.")


@router.get("", summary="List the models")
def get_models(caller: Reader, parts: PartsOf) -> ModelList:
    """List every registered model with its aliases, and which versions decided for you."""
    known, answers = _models(parts)
    used: dict[str, list[VersionUse]] = {each.name: [] for each in known}
    for row in parts.model_performance.versions(caller.tenant):
        fields = {name: row[name] for name in VersionUse.model_fields}
        used.setdefault(row["name"], []).append(VersionUse.model_validate(fields))
    aliases = {each.name: dict(each.aliases) for each in known}
    models = tuple(
        ModelSummary(name=name, aliases=aliases.get(name, {}), versions=tuple(versions))
        for name, versions in sorted(used.items())
    )
    return ModelList(models=models, registry_answers=answers)


@router.get("/{name}/versions/{version}", summary="Read how a model version does", responses=problems(404))
def get_model_version(
    caller: Reader,
    name: ModelName,
    version: VersionNumber,
    parts: PartsOf,
    days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="So many days back from now.")] = 90,
) -> VersionReport:
    """Tell what a version is, what the gate said of it, and how it does live, by day, channel and message type."""
    known, answers = _version(parts, name, version)
    now = parts.clock.now(caller.tenant)
    rows = parts.model_performance.of(caller.tenant, name, version, now=now, since=now - timedelta(days=days))
    shadow = parts.shadow_performance.of(caller.tenant, name, version, now=now, since=now - timedelta(days=days))
    if known is None and not rows and not shadow:
        raise Refused(ProblemCode.NOT_FOUND, "There is no such version, or it is not known while MLflow is away.")
    slices = tuple(Slice.model_validate(row) for row in rows)
    compared = tuple(ShadowSlice.model_validate(row) for row in shadow)
    return _report(name, version, known, slices, compared, answers=answers)


def _models(parts: Parts) -> tuple[list[KnownModel], bool]:
    try:
        return parts.model_versions.models(), True
    except AliasUnavailable:
        return [], False


def _version(parts: Parts, name: str, version: str) -> tuple[KnownVersion | None, bool]:
    try:
        return parts.model_versions.version(name, version), True
    except AliasUnavailable:
        return None, False


def _report(
    name: str,
    version: str,
    known: KnownVersion | None,
    slices: tuple[Slice, ...],
    shadow: tuple[ShadowSlice, ...],
    *,
    answers: bool,
) -> VersionReport:
    tags = known.tags if known is not None else {}
    return VersionReport(
        name=name,
        version=version,
        aliases=known.aliases if known is not None else (),
        run_id=known.run_id if known is not None else None,
        created_at=_moment(known.created_ms) if known is not None else None,
        feature_service=tags.get("feast.feature_service"),
        training_snapshot=tags.get("data.snapshot_id"),
        training_cut=tags.get("training.cut"),
        gate_passed={"true": True, "false": False}.get(tags.get("gate.passed", "")),
        gate_reasons=tags.get("gate.reasons") or None,
        rolled_back=tags.get("rollback.reason"),
        metrics=_metrics(tags.get("kairos.metrics")),
        registry_answers=answers,
        live=_performance(slices),
        slices=slices,
        shadow=shadow,
    )


def _performance(slices: tuple[Slice, ...]) -> Performance:
    decisions, expected = sum(each.decisions for each in slices), sum(each.expected for each in slices)
    observed = sum(each.observed for each in slices)
    loss = sum(each.log_loss * each.decisions for each in slices)
    return Performance(
        decisions=decisions,
        expected=expected,
        observed=observed,
        observed_expected=observed / expected if expected else None,
        log_loss=loss / decisions if decisions else None,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)


def _metrics(told: str | None) -> dict[str, float]:
    return {name: float(number) for name, number in json.loads(told or "{}").items()}
