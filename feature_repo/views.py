"""The Feast views over the lake's feature table: one per ``catalog.View``, columns as the catalog declares them.

Views only declare. Values are computed by ``engagement.transform`` and pushed or materialized as they are.
"""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.data_format import ParquetFormat
from feast.types import FeastType, Float64, Int64, String, UnixTimestamp

from feature_repo.engagement import catalog
from feature_repo.engagement.catalog import Dtype, Feature, View

TABLE = "core_recipient_engagement_daily"
"""The lake table below every view: one row per recipient and day, as of the day's end."""
EVENT_TIMESTAMP = "as_of"
CREATED_TIMESTAMP = "created_at"
TTL = timedelta(hours=72)
"""How far back a point-in-time join looks; longer than any row may be used, so reading decides what is too old."""

_TYPES: dict[Dtype, FeastType] = {
    Dtype.INT: Int64,
    Dtype.FLOAT: Float64,
    Dtype.TEXT: String,
    Dtype.MOMENT: UnixTimestamp,
}
_DESCRIPTIONS = {
    View.ENGAGEMENT: "What a recipient does of their own accord: activity, spend, habits.",
    View.DELIVERY: "What became of messages to a recipient: sends, responses, rates.",
}


def build(lake: str, entities: list[Entity]) -> list[FeatureView]:
    """Return every view.

    Args:
        lake: absolute folder of the Parquet tables; Feast would resolve a relative one against two folders.
        entities: tenant and recipient.
    """
    return [_view(view, lake, entities) for view in View]


def _view(view: View, lake: str, entities: list[Entity]) -> FeatureView:
    keys = [Field(name=entity.join_key, dtype=String) for entity in entities]
    return FeatureView(
        name=view.value,
        entities=entities,
        schema=[*keys, *map(_field, catalog.stored(view))],
        source=FileSource(
            name=f"{view.value}_daily",
            path=f"{lake}/{TABLE}/*/*.parquet",
            file_format=ParquetFormat(),
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=CREATED_TIMESTAMP,
        ),
        ttl=TTL,
        online=True,
        description=_DESCRIPTIONS[view],
        owner="team:personalization",
    )


def _field(feature: Feature) -> Field:
    tags = {"kind": feature.kind.value, "unit": feature.unit, "purpose": feature.purpose.value}
    return Field(name=feature.name, dtype=_TYPES[feature.dtype], description=feature.description, tags=tags)
