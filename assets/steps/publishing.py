"""From a fitted model to the champion: fitted once, registered, weighed against the champion, published, promoted.

The serving bundle is on disk before the alias moves. A version that was not weighed, or was weighed against another
champion than today's, is never promoted.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from functools import cache

import pandas as pd
import pyarrow as pa

from adapters.bundle import REGISTRY, BundleInfo
from adapters.bundle_shelf import BundleShelf
from adapters.feature_store import SERVICE as FEATURE_SERVICE
from adapters.feature_store import FeatureStore
from adapters.lake import Lake, Written
from adapters.model_registry import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    SHADOW,
    DataSet,
    ModelRegistry,
    RegistryUnavailable,
    Training,
    Version,
)
from adapters.model_staging import ModelStaging
from assets.refusals import Refusal
from assets.steps import event_days, feature_days, fitting, gate_evidence, gate_pictures, shadowing, training_rows
from assets.steps.fitting import Judged
from assets.steps.gate_evidence import Evidence, Gathered
from feature_repo.engagement import at_read
from models.engagement import dataset, evaluate, spec, train
from models.engagement.score import Scorer
from models.promotion.card import Card
from models.promotion.finding import Claim, Finding, Verdict

HOLDOUT = "out_engagement_holdout"
IDENTITY, CUT, SEED, METRICS = "kairos.identity", "training.cut", "training.seed", "kairos.metrics"
SNAPSHOT, SERVICE = "data.snapshot_id", "feast.feature_service"
FIRST_DAY, LAST_DAY = "data.first_day", "data.last_day"
"""Days of events that the training set was made from."""
PASSED, AGAINST, REASONS = "gate.passed", "gate.against", "gate.reasons"
MOST_OF_A_TAG = 4_000
"""Letters of a tag; the whole is in the run's artifact."""
ROLLED_BACK = "rollback.reason"
"""Tag of a version that was taken out of service for what it did there, with the reason."""
NOBODY = "nobody"
"""Stands for the champion while there is none."""

Report = Callable[[str], object]
_HOLDOUT_COLUMNS = ("tenant", "recipient_id", "event_id", "campaign_id", "message_type", "decided_at", "is_closed")
_HOLDOUT_TYPES = {
    "decided_at": pa.timestamp("us", tz="UTC"),
    "is_closed": pa.bool_(),
    "score": pa.float64(),
    "label": pa.int8(),
}
_HOLDOUT_SCHEMA = pa.schema(
    [(name, _HOLDOUT_TYPES.get(name, pa.string())) for name in (*_HOLDOUT_COLUMNS, "score", "label")]
)


class NothingToPromote(Refusal):
    """No version stands as challenger; materialize engagement_model first."""


class NotPromoted(Refusal):
    """The challenger has not passed the gate against today's champion."""


@dataclass(frozen=True)
class Bench:
    """Where models are made: the tables, the registry, and the folder that bridges its outages."""

    lake: Lake
    registry: ModelRegistry
    staging: ModelStaging
    device: str = "cpu"
    now: datetime | None = None
    """In real time; None looks at no trial."""


@dataclass(frozen=True)
class Registered:
    """A version that stands as challenger; ``figures`` are empty when it was registered before."""

    version: Version
    is_new: bool
    metrics: Mapping[str, float]
    figures: Mapping[str, bytes]


@dataclass(frozen=True)
class Weighed:
    """The challenger and the champion on the same rows, and whether it may take its place."""

    challenger: Version
    champion: Version | None
    verdict: Verdict
    numbers: Mapping[str, float]
    pictures: Mapping[str, bytes]
    gathered: Gathered


def fit_and_register(
    bench: Bench,
    *,
    cut: datetime | None,
    seed: int,
    lineage: Mapping[str, str],
    report: Report,
) -> Registered:
    """Make sure a model of today's training set stands as challenger.

    The same rows, code, cut and seed are fitted once: a version that has them is taken as it is. So is one on trial.

    Args:
        bench: where models are made.
        cut: divides training from test; None judges on the latest quarter of the rows.
        seed: of everything that is drawn.
        lineage: tags that lead back to the run.
        report: told how far it got.

    Raises:
        NotEnoughData: too few rows or conversions.
        RegistryUnavailable: MLflow does not answer; the fitted model is kept and registered by the next attempt.
    """
    tried = shadowing.on_trial(bench.registry, bench.now) if bench.now is not None else None
    if tried is not None:
        report(f"{spec.NAME}: version {tried.version} is compared as a shadow; nothing newer is made meanwhile")
        bench.registry.set_alias(CHALLENGER, tried)
        return Registered(tried, is_new=False, metrics=json.loads(tried.tags[METRICS]), figures={})
    snapshot = bench.lake.digest(training_rows.TABLE)
    name = identity(snapshot, cut=cut, seed=seed, device=bench.device)
    known = _known(bench.registry, name)
    if known is not None:
        bench.registry.set_alias(CHALLENGER, known)
        return Registered(known, is_new=False, metrics=json.loads(known.tags[METRICS]), figures={})
    rows = _training_set(bench.lake)
    training = bench.staging.get(name)
    if training is None:
        fitted = fitting.fit(rows, cut=cut, seed=seed, progress=report, device=bench.device)
        training = _training(fitted, name, snapshot, bench.lake.days(event_days.TABLE))
        report(f"{spec.NAME}: fitted; kept in {bench.staging.keep(name, training)}")
    data = DataSet(rows, training_rows.TABLE, str(bench.lake.root / training_rows.TABLE), snapshot, spec.LABEL)
    told = replace(training, tags={**training.tags, **lineage})
    version = bench.registry.log(told, data, run_name=f"{spec.NAME}:{name}")
    bench.registry.set_alias(CHALLENGER, version)
    bench.staging.drop(name)
    return Registered(version, is_new=True, metrics=training.metrics, figures=training.figures)


def identity(snapshot: str, *, cut: datetime | None, seed: int, device: str = "cpu") -> str:
    """Return a name for what a fit would give: the same name, the same model."""
    told = [snapshot, cut.isoformat() if cut else "", str(seed), code_version(), device]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


@cache
def code_version() -> str:
    """Return a digest of the code that fits and reads: another one may give another model from the same rows."""
    parts = (spec, dataset, train, at_read, fitting)
    return hashlib.sha256("".join(inspect.getsource(part) for part in parts).encode()).hexdigest()[:16]


def weigh(lake: Lake, registry: ModelRegistry, evidence: Evidence) -> Weighed:
    """Hold the challenger to every condition, and write verdict, numbers and pictures on it.

    Raises:
        NothingToPromote: there is no challenger.
    """
    challenger, champion = _challenger(registry), registry.version(CHAMPION)
    rows, cut, seed = _training_set(lake), datetime.fromisoformat(challenger.tags[CUT]), int(challenger.tags[SEED])
    files = registry.files(challenger)
    scorer = Scorer.from_files(files)
    test, theirs = fitting.judge(rows, scorer, cut=cut, seed=seed)
    rival = None if champion is None or champion.version == challenger.version else champion
    ours = fitting.judge(rows, _scorer(registry, rival), cut=cut, seed=seed)[1] if rival else None
    gathered = gate_evidence.gather(
        rows, scorer, files, cut=cut, mine=theirs.scores, theirs=ours.scores if ours else None, evidence=evidence
    )
    alone = evaluate.passes_gate(theirs.report, ours.report if ours else None)
    both = shadowing.compared(evidence, challenger, rival)
    live = shadowing.findings(both, least=evidence.least_shadow)
    verdict = Verdict((*_as_findings(alone), *gathered.findings, *live, _never_rolled_back(challenger)))
    final = fitting.closed(test)
    label, scores = test[spec.LABEL].to_numpy()[final], theirs.scores[final]
    drawn = gate_pictures.draw(label, scores, gathered, both)
    told = {
        PASSED: str(verdict.passed).lower(),
        AGAINST: champion.version if champion else NOBODY,
        REASONS: _sentences(verdict),
    }
    tagged = registry.tag(challenger, told)
    registry.attach(tagged, figures=drawn, reports={"gate/verdict.json": _document(verdict, gathered)})
    return Weighed(tagged, champion, verdict, _side_by_side(theirs, ours), drawn, gathered)


def _as_findings(verdict: evaluate.GateVerdict) -> tuple[Finding, ...]:
    """Return what the model's own gate found, as findings of the claim that it beats the champion."""
    return tuple(
        Finding(Claim.BEATS_CHAMPION, str(one.condition), one.held, one.number, one.limit, one.sentence)
        for one in verdict.findings
    )


def _never_rolled_back(challenger: Version) -> Finding:
    """Hold that the version was not taken out of service for what it did there: the same rows do not say otherwise."""
    why = challenger.tags.get(ROLLED_BACK)
    told = f"version {challenger.version} was rolled back: {why}" if why else "it was never rolled back"
    return Finding(Claim.LIVE, "rollback.none", why is None, float(why is not None), 0.0, told)


def _document(verdict: Verdict, gathered: Gathered) -> dict[str, object]:
    """Return everything the gate found, as it is kept with the version's run."""
    return {
        "passed": verdict.passed,
        "findings": [asdict(finding) for finding in verdict.findings],
        "psi": dict(gathered.psi),
        "groups": [group.as_json() for group in gathered.groups],
        "worst_gaps": [asdict(gap) for gap in gathered.gaps],
    }


def promote(registry: ModelRegistry, shelf: BundleShelf, store: FeatureStore, *, created_at: datetime) -> Version:
    """Publish the challenger's serving bundle, then let it be the champion; doing it again changes nothing.

    Raises:
        NothingToPromote: there is no challenger.
        NotPromoted: it has not passed the gate against today's champion.
    """
    challenger, champion = _challenger(registry), registry.version(CHAMPION)
    against = champion.version if champion else NOBODY
    if challenger.version != against:
        _require_passed(challenger, against)
    _publish(registry, shelf, store, challenger, created_at)
    succeed(registry, challenger, champion)
    return challenger


def succeed(registry: ModelRegistry, challenger: Version, champion: Version | None) -> None:
    """Let a version be the champion, and the one before be found again; doing it again changes nothing."""
    if champion is not None and champion.version != challenger.version:
        registry.set_alias(PREVIOUS, champion)
    registry.set_alias(CHAMPION, challenger)


def stand_as_shadow(
    weighed: Weighed, registry: ModelRegistry, shelf: BundleShelf, store: FeatureStore, *, created_at: datetime
) -> bool:
    """Publish a challenger's bundle and let it stand as shadow, where nothing but live messages is missing.

    Returns whether it stands. Its trial begins with the first time.
    """
    if not shadowing.only_waits(weighed.verdict):
        return False
    challenger = weighed.challenger
    _publish(registry, shelf, store, challenger, created_at)
    if shadowing.SINCE not in challenger.tags:
        registry.tag(challenger, {shadowing.SINCE: created_at.isoformat()})
    registry.set_alias(SHADOW, challenger)
    return True


def _publish(
    registry: ModelRegistry, shelf: BundleShelf, store: FeatureStore, version: Version, created_at: datetime
) -> None:
    files = {**registry.files(version), REGISTRY: store.registry_bytes()}
    shelf.publish(bundle_info(version, created_at=created_at), files)


def bundle_info(version: Version, *, created_at: datetime) -> BundleInfo:
    """Return where the bundle of a registered version comes from."""
    return BundleInfo(
        model=version.model,
        version=version.version,
        run_id=version.run_id,
        feature_service=version.tags[SERVICE],
        data_digest=version.tags[SNAPSHOT],
        created_at=created_at,
    )


def hold_out(lake: Lake, registry: ModelRegistry) -> tuple[Written, Judged]:
    """Write what the champion says about rows after its cut, which it has not seen, with what came of them.

    Raises:
        NothingToPromote: there is no champion.
    """
    champion = registry.version(CHAMPION)
    if champion is None:
        raise NothingToPromote("no version is the champion; materialize engagement_champion first")
    cut, seed = datetime.fromisoformat(champion.tags[CUT]), int(champion.tags[SEED])
    test, judged = fitting.judge(_training_set(lake), _scorer(registry, champion), cut=cut, seed=seed)
    table = test[list(_HOLDOUT_COLUMNS)].assign(score=judged.scores, label=test[spec.LABEL])
    notes = {"version": champion.version, "metrics": json.dumps(judged.metrics, sort_keys=True)}
    return lake.write(
        HOLDOUT, pa.Table.from_pandas(table, schema=_HOLDOUT_SCHEMA, preserve_index=False), notes=notes
    ), judged


def _known(registry: ModelRegistry, name: str) -> Version | None:
    """Return the version that has this identity, or None when there is none or nobody can tell now."""
    try:
        standing = [registry.version(alias) for alias in (CHALLENGER, CHAMPION)]
    except RegistryUnavailable:
        return None
    return next((version for version in standing if version and version.tags.get(IDENTITY) == name), None)


def _training(fitted: fitting.Fitted, name: str, snapshot: str, days: Sequence[date]) -> Training:
    card = Card(
        name=spec.NAME,
        purpose="Says how likely a message is answered, so that channels and silence can be compared by value.",
        limits="It knows only people who were sent messages; message types it never saw get the overall rate.",
        target="the chance of a conversion within the message's attribution window",
        features=spec.FEATURES,
        data={"snapshot": snapshot, "cut": fitted.cut.isoformat(), "training rows": str(len(fitted.train.label))},
        metrics=fitted.metrics,
        importance=fitted.importance,
    )
    reports = {
        "card.md": card.markdown(),
        "reports/importance.json": dict(fitted.importance),
        "reports/base_rates.json": dict(fitted.judged.base_rates),
    }
    return Training(
        files=fitted.files,
        features=spec.FEATURES,
        params=fitted.params,
        metrics=fitted.metrics,
        figures=fitted.figures,
        reports=reports,
        tags={
            IDENTITY: name,
            CUT: fitted.cut.isoformat(),
            SEED: str(fitted.seed),
            SNAPSHOT: snapshot,
            **({FIRST_DAY: days[0].isoformat(), LAST_DAY: days[-1].isoformat()} if days else {}),
            SERVICE: FEATURE_SERVICE,
            METRICS: json.dumps({key: round(number, 6) for key, number in sorted(fitted.metrics.items())}),
            "code.version": code_version(),
            "code.features": feature_days.transform_version(),
        },
    )


def _training_set(lake: Lake) -> pd.DataFrame:
    rows: pd.DataFrame = lake.read(training_rows.TABLE).to_pandas()
    return rows


def _challenger(registry: ModelRegistry) -> Version:
    challenger = registry.version(CHALLENGER)
    if challenger is None:
        raise NothingToPromote("no version is the challenger; materialize engagement_model first")
    return challenger


def _require_passed(challenger: Version, against: str) -> None:
    if challenger.tags.get(PASSED) != "true":
        reasons = challenger.tags.get(REASONS, "it was not weighed")
        raise NotPromoted(f"version {challenger.version} has not passed the gate: {reasons}")
    if challenger.tags.get(AGAINST) != against:
        weighed = challenger.tags.get(AGAINST)
        raise NotPromoted(f"version {challenger.version} was weighed against {weighed}, the champion is {against}")


def _scorer(registry: ModelRegistry, version: Version) -> Scorer:
    scorer = Scorer.from_files(registry.files(version))
    scorer.canary()
    return scorer


def _sentences(verdict: Verdict) -> str:
    """Return what did not hold, as MLflow keeps it on the version."""
    return "; ".join(verdict.reasons)[:MOST_OF_A_TAG]


def _side_by_side(theirs: Judged, ours: Judged | None) -> dict[str, float]:
    champion = {f"champion_{name}": number for name, number in ours.report.metrics().items()} if ours else {}
    return {**theirs.report.metrics(), **champion}
