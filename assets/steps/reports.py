"""Reports on the champion: is every group served as well as the others, and do people still look as in training?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa

from adapters.lake import Lake, Written
from adapters.model_registry import CHAMPION, ModelRegistry
from adapters.postgres.profile_groups import ProfileGroups
from assets.steps import feature_days, fitting, gate_evidence, gate_pictures, online, publishing, training_rows
from assets.steps.publishing import NothingToPromote
from feature_repo.engagement.at_read import at_read
from models.engagement import dataset
from models.engagement.score import Scorer
from models.promotion import drift, groups
from models.promotion.groups import Gap, Group
from models.promotion.rows import Scored

TABLE = "out_engagement_groups"
_NUMBERS = (
    "rate",
    "mean_p",
    "log_loss",
    "observed_expected",
    "low",
    "high",
    "per_recipient",
    "gap",
    "gap_low",
    "gap_high",
)
SCHEMA = pa.schema(
    [
        ("version", pa.string()),
        ("attribute", pa.string()),
        ("value", pa.string()),
        ("n", pa.int64()),
        ("recipients", pa.int64()),
        *((name, pa.float64()) for name in _NUMBERS),
    ]
)


@dataclass(frozen=True)
class GroupReport:
    """How the champion serves each group; ``gaps`` are the worst-off of each attribute."""

    written: Written
    groups: Sequence[Group]
    gaps: Sequence[Gap]
    pictures: Mapping[str, bytes]


@dataclass(frozen=True)
class ShiftReport:
    """How far the recipients of today lie from the training rows, by feature, and by the model's use of features."""

    psi: Mapping[str, float]
    weighted: float | None
    rows: tuple[int, int]
    picture: bytes


def by_group(lake: Lake, declared: ProfileGroups) -> GroupReport:
    """Judge the champion's hold-out by groups, with the burden of notifications of each.

    Raises:
        NoSuchTable: there is no hold-out yet.
    """
    held = lake.read(publishing.HOLDOUT).to_pandas()
    known = lake.read(training_rows.TABLE).to_pandas()[["tenant", "event_id", "channel", "engagement_as_of"]]
    rows = held[held["is_closed"]].merge(known, on=["tenant", "event_id"], validate="one_to_one")
    unit = (rows["tenant"] + "\t" + rows["recipient_id"]).to_numpy(dtype="str")
    scored = Scored.of(rows["label"].to_numpy(), rows["score"].to_numpy(), unit)
    attributes = gate_evidence.attributes_of(rows, declared)
    found, gaps = groups.describe(scored, attributes), groups.worst_gaps(scored, attributes)
    version = lake.notes(publishing.HOLDOUT)["version"]
    made = pd.DataFrame([_row(version, each, gaps) for each in found], columns=SCHEMA.names)
    burden = {each.name: each.per_recipient for each in found}
    drawn = {
        "groups": gate_pictures.groups_png(found),
        "burden": gate_pictures.largest(burden, title="Messages per recipient of a group", unit="messages"),
    }
    table = pa.Table.from_pandas(made, schema=SCHEMA, preserve_index=False)
    return GroupReport(lake.write(TABLE, table, notes={"version": version}), found, gaps, drawn)


def _row(version: str, group: Group, gaps: Sequence[Gap]) -> dict[str, object]:
    told = group.observed_expected
    gap = next((one.difference for one in gaps if (one.attribute, one.value) == (group.attribute, group.value)), None)
    return {
        "version": version,
        "attribute": group.attribute,
        "value": group.value,
        "n": group.n,
        "recipients": group.recipients,
        "rate": group.rate,
        "mean_p": group.mean_p,
        "log_loss": group.log_loss,
        "observed_expected": told.value if told else None,
        "low": told.low if told else None,
        "high": told.high if told else None,
        "per_recipient": group.per_recipient,
        "gap": gap.value if gap else None,
        "gap_low": gap.low if gap else None,
        "gap_high": gap.high if gap else None,
    }


def shift(lake: Lake, registry: ModelRegistry, nows: Mapping[str, datetime]) -> ShiftReport:
    """Compare everybody's newest features with those the champion was trained on.

    Raises:
        NothingToPromote: there is no champion.
        NoSuchTable: no tenant has features.
    """
    champion = registry.version(CHAMPION)
    if champion is None:
        raise NothingToPromote("no version is the champion; materialize engagement_champion first")
    scorer = Scorer.from_files(registry.files(champion))
    rows = lake.read(training_rows.TABLE).to_pandas()
    then = dataset.time_split(rows, at=datetime.fromisoformat(champion.tags[publishing.CUT])).train
    now = _today(lake, nows, then)
    names = [name for name in scorer.features if name not in gate_evidence.CHOSEN_BY_US]
    places = [scorer.features.index(name) for name in names]
    before, after = (
        at_read(part, part, features=scorer.features, vocabularies=scorer.vocabularies).matrix[:, places]
        for part in (then[fitting.closed(then)], now)
    )
    found = drift.by_feature(before, after, names)
    counted = (len(before), len(after))
    told = drift.finding(found, scorer.importance(), rows=counted, limit=drift.ANOTHER_POPULATION)
    picture = gate_pictures.largest(found, title="PSI, training against everybody today", unit="PSI")
    return ShiftReport(found, told.number, counted, picture)


def _today(lake: Lake, nows: Mapping[str, datetime], like: pd.DataFrame) -> pd.DataFrame:
    """Return everybody's newest features as if each were sent the message that was sent most."""
    parts = [
        lake.read(feature_days.TABLE, day=day).to_pandas().query("tenant == @tenant")
        for tenant, day in online.newest_days(lake, nows).items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    usual = {name: like[name].mode().iloc[0] for name in ("message_type", "channel", "local_hour_of_week")}
    day = (rows["as_of"] - timedelta(days=1)).dt.date
    asked: pd.DataFrame = rows.assign(**usual, decided_at=rows["as_of"], local_date=day)
    return asked
