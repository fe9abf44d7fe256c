"""Fits, registers and promotes behavioural clusters, and sorts everybody who allows it by those of the champion.

Read are the habit rows of the night, hours that stand on an open left out. Who withdrew since is asked for again: a
row in the lake is no permission. Too few people, or one group only, is an answer and no failure.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from adapters.lake import Lake, Written
from adapters.model_registry import CHALLENGER, CHAMPION, DataSet, ModelRegistry, Training, Version
from adapters.postgres.learning_facts import Facts
from assets.steps import habit_rows, pictures, publishing
from assets.steps.publishing import METRICS, PASSED, REASONS, SERVICE, SNAPSHOT
from feature_repo import habit_columns
from models.clusters import dataset, registered, score, spec, train
from models.clusters.train import Clusters, Floats, NotEnoughData
from models.promotion.card import Card
from models.send_time import packed
from models.send_time.spec import HOURS_OF_WEEK

TABLE = "out_recipient_clusters"
SCHEMA = pa.schema(
    [
        ("tenant", pa.string()),
        ("recipient_id", pa.string()),
        ("as_of", pa.timestamp("us", tz="UTC")),
        ("cluster", pa.int64()),
        ("chance", pa.float64()),
        ("distance", pa.float64()),
        ("version", pa.string()),
    ]
)
SEED = 7
_NONE_YET = "no version of clusters was registered"


@dataclass(frozen=True)
class Made:
    """What a fit came to: ``version`` is None where the data did not suffice, and ``why`` says what was found."""

    version: Version | None
    metrics: Mapping[str, float]
    figures: Mapping[str, bytes]
    why: str = ""


@dataclass(frozen=True)
class Sorted:
    """The table of clusters; ``version`` is empty while there is no champion, and nobody has a row."""

    written: Written
    version: str
    picture: bytes


def people(lake: Lake, facts: Facts, nows: Mapping[str, datetime]) -> tuple[pd.DataFrame, Floats]:
    """Return those who allow it now, with ``as_of`` of their row, and their columns, shape (n, 5).

    Raises:
        NoSuchTable: there are no habit rows yet.
    """
    rows = lake.read(habit_rows.TABLE).to_pandas()
    held = habit_rows.allowed(rows[rows["tenant"].isin(list(nows))], facts, nows)
    who = held.sort_values(["tenant", "recipient_id"], ignore_index=True)
    hours = [packed.from_text(each) for each in who[habit_columns.HOURS]]
    return who[["tenant", "recipient_id", "as_of"]], dataset.of_weeks(np.reshape(hours, (-1, HOURS_OF_WEEK)))


def fit_and_register(
    lake: Lake, registry: ModelRegistry, *, facts: Facts, nows: Mapping[str, datetime], lineage: Mapping[str, str]
) -> Made:
    """Look for clusters and register them as challenger; the same people are looked at once.

    Raises:
        NoSuchTable: there are no habit rows yet.
        RegistryUnavailable: MLflow does not answer.
    """
    columns = people(lake, facts, nows)[1]
    snapshot = _digest(columns)
    known = registry.version(CHALLENGER)
    if known is not None and known.tags.get(SNAPSHOT) == snapshot:
        return Made(known, json.loads(known.tags[METRICS]), {})
    sample = _sample(columns)
    try:
        found = train.find(sample, seed=SEED)
    except NotEnoughData as answer:
        return Made(None, {"people": float(len(columns))}, {}, str(answer))
    training = _training(found, {"people": float(len(columns))}, snapshot, lineage)
    rows = pd.DataFrame(sample, columns=list(dataset.COLUMNS)).assign(label=np.nan)
    source = str(lake.root / habit_rows.TABLE)
    version = registry.log(
        training, DataSet(rows, "clusters_people", source, snapshot, "label"), run_name=registry.model
    )
    registry.set_alias(CHALLENGER, version)
    return Made(version, training.metrics, training.figures)


def verdict(registry: ModelRegistry) -> tuple[Version | None, str]:
    """Return the challenger and why it may not sort people; of none, that there is none yet."""
    challenger = registry.version(CHALLENGER)
    if challenger is None:
        return None, _NONE_YET
    return challenger, "" if challenger.tags.get(PASSED) == "true" else challenger.tags.get(REASONS) or "not weighed"


def numbers(version: Version | None) -> dict[str, float]:
    """Return what was measured of a version when it was registered; nothing of none."""
    return {} if version is None else {**json.loads(version.tags[METRICS]), "least_stability": spec.LEAST_STABILITY}


def promote(registry: ModelRegistry) -> tuple[Version | None, str]:
    """Let a stable challenger be the champion, and return who is, and why it is not the challenger if it is not."""
    challenger, why = verdict(registry)
    champion = registry.version(CHAMPION)
    if challenger is None or why:
        return champion, why
    publishing.succeed(registry, challenger, champion)
    return challenger, ""


def sort_everybody(lake: Lake, registry: ModelRegistry, *, facts: Facts, nows: Mapping[str, datetime]) -> Sorted:
    """Replace the table: in which cluster of the champion each recipient is, how surely, and how far from its middle.

    Raises:
        NoSuchTable: there are no habit rows yet.
    """
    who, columns = people(lake, facts, nows)
    champion = registry.version(CHAMPION)
    if champion is None:
        return Sorted(lake.write(TABLE, SCHEMA.empty_table()), "", _sizes(pd.Series(dtype="int64")))
    clusters = registered.from_files(registry.files(champion))
    cluster, likely = score.members(columns, clusters)
    made = who.assign(
        cluster=cluster,
        chance=likely.max(axis=1),
        distance=score.distances(columns, cluster, clusters),
        version=champion.version,
    )
    table = pa.Table.from_pandas(made[SCHEMA.names], schema=SCHEMA, preserve_index=False)
    return Sorted(
        lake.write(TABLE, table, notes={"version": champion.version}), champion.version, _sizes(made["cluster"])
    )


def _sample(columns: Floats) -> Floats:
    if len(columns) <= spec.MOST_PEOPLE:
        return columns
    dice = np.random.default_rng(SEED)
    return columns[np.sort(dice.choice(len(columns), spec.MOST_PEOPLE, replace=False))]


def _digest(columns: Floats) -> str:
    """Return what tells these people's activity from others'; names nobody."""
    return hashlib.sha256(np.ascontiguousarray(columns).tobytes()).hexdigest()


def _training(found: Clusters, counted: Mapping[str, float], snapshot: str, lineage: Mapping[str, str]) -> Training:
    shares, why = found.mixture.share, train.unstable(found.stability)
    metrics = {
        **counted,
        "clusters": float(len(shares)),
        "stability": found.stability,
        "smallest_share": float(shares.min()),
    }
    card = Card(
        name=registered.NAME,
        purpose="Tells groups of recipients apart by when, and how much, they are active.",
        limits="A group describes; nothing follows from being in one. Numbers of groups hold within one version.",
        target="which group somebody is in, 0 the largest",
        features=dataset.COLUMNS,
        data={"snapshot": snapshot},
        metrics=metrics,
        consent="personalization, where analytics was not ended; no open is read",
    )
    told = {name: round(number, 6) for name, number in sorted(metrics.items())}
    tags = {SNAPSHOT: snapshot, METRICS: json.dumps(told), SERVICE: "none", PASSED: str(not why).lower(), REASONS: why}
    return Training(
        files=registered.to_files(found),
        features=dataset.COLUMNS,
        params={"clusters": len(shares), "seed": SEED, "least_stability": spec.LEAST_STABILITY},
        metrics=metrics,
        figures={"plots/clusters.png": _profiles(found)},
        reports={"card.md": card.markdown()},
        tags={**tags, **lineage},
        scorer="models.clusters.registered",
    )


def _profiles(found: Clusters) -> bytes:
    middles = np.expm1(found.mixture.mean * found.scaling.sd + found.scaling.mean)
    bars = {
        f"{place}: {name}": float(hours)
        for place, middle in enumerate(middles)
        for name, hours in zip(dataset.COLUMNS, middle, strict=True)
    }
    title = f"Hours with activity by cluster, stability {found.stability:.2f}"
    return pictures.lying_bars(bars, title=title, unit="decayed hours")


def _sizes(cluster: "pd.Series[int]") -> bytes:
    sizes = {str(name): float(size) for name, size in cluster.value_counts().sort_index().items()}
    return pictures.bars(sizes, title="Recipients by cluster", unit="recipients")
