"""The view ``recipient_habits``: at which hours a recipient is there, and what they answer on which channel.

One row per recipient, made at night from events (``assets.steps.habit_rows``) and read with the engagement features. It
holds decayed counts, never events.
"""

from feast import Entity, FeatureView, Field, FileSource
from feast.data_format import ParquetFormat
from feast.types import Float64, String, UnixTimestamp

from domain.values import Purpose
from feature_repo.habit_columns import AS_OF, HOURS, HOURS_OF_OPENS, TABLE, VIEW, columns, of_opens
from feature_repo.views import EVENT_TIMESTAMP, TTL


def view(lake: str, entities: list[Entity]) -> FeatureView:
    """Return the view over the table in the lake."""
    return FeatureView(
        name=VIEW,
        entities=entities,
        schema=[*(Field(name=each.join_key, dtype=String) for each in entities), *map(_field, columns())],
        source=FileSource(
            name=f"{VIEW}_now",
            path=f"{lake}/{TABLE}/part.parquet",
            file_format=ParquetFormat(),
            timestamp_field=EVENT_TIMESTAMP,
        ),
        ttl=TTL,
        online=True,
        description="When a recipient is there, and what they answer on which channel.",
        owner="team:personalization",
    )


def _field(name: str) -> Field:
    purpose = Purpose.OPEN_TRACKING if name in of_opens() else Purpose.PERSONALIZATION
    tags = {"kind": "behavioural", "unit": "decayed count", "purpose": purpose.value}
    kind = {AS_OF: UnixTimestamp, HOURS: String, HOURS_OF_OPENS: String}.get(name, Float64)
    return Field(name=name, dtype=kind, description=_described(name), tags=tags)


def _described(name: str) -> str:
    told = {
        AS_OF: "Moment the row describes, UTC.",
        HOURS: "168 decayed counts of hours with activity, Monday 00:00 first, float16, base64.",
        HOURS_OF_OPENS: "The same of hours with an open and nothing else.",
    }
    return told.get(name, f"Decayed messages: {name.removeprefix('habit_').replace('_', ' by ', 1)}.")
