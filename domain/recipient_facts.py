"""What rules may ask about a recipient, by name, and how a profile becomes such facts.

``profile.<field>`` and ``profile.attributes.<name>``: what the profile says. ``segment.<column>``: the nightly
segmentation. ``feature.<name>``: a feature of the catalog. What is empty or unknown there is missing here.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from enum import Enum
from typing import Any

from domain.profiles import Profile
from domain.segments import Fact

SEGMENT_FIELDS = ("name", "score", "recency_score", "frequency_score", "monetary_score")
_PLAIN = (
    "locale", "language", "country", "region", "city", "age", "job_role", "industry", "experience", "skills", "source",
)  # fmt: skip
_CONTENT = ("topics", "tone", "length")
PROFILE_FIELDS = (*_PLAIN, *_CONTENT, "time_zone", "quality")
_NAME = r"[a-z][a-z0-9_]{0,63}"
_KNOWN = re.compile(
    rf"profile\.(?:{'|'.join(PROFILE_FIELDS)}|attributes\.{_NAME})|segment\.(?:{'|'.join(SEGMENT_FIELDS)})|feature\.{_NAME}"
)


def is_field(name: str) -> bool:
    """Tell whether rules may ask about a name; a misspelt one would be missing for ever."""
    return _KNOWN.fullmatch(name) is not None


def of_profile(profile: Profile | None) -> dict[str, Fact]:
    """Return the facts a profile holds; texts that are moments with an offset become moments."""
    if profile is None:
        return {}
    said: dict[str, Any] = {name: getattr(profile, name) for name in _PLAIN}
    said |= {name: getattr(profile.content, name) for name in _CONTENT} if profile.content else {}
    said |= {"time_zone": profile.time_zone.name if profile.time_zone else None, "quality": profile.quality}
    said |= {f"attributes.{name}": _moment(value) for name, value in profile.attributes.items()}
    return {f"profile.{name}": _plain(value) for name, value in said.items() if value not in (None, ())}


def of_segment(row: Mapping[str, Any]) -> dict[str, Fact]:
    """Return the facts of a row of the segmentation; a score nobody has is missing."""
    named = {"name": row.get("segment")} | {name: row.get(name) for name in SEGMENT_FIELDS[1:]}
    return {f"segment.{name}": value for name, value in named.items() if value is not None}


def _plain(value: Any) -> Fact:
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in value)  # type: ignore[misc]
    plain: Fact = value.value if isinstance(value, Enum) else value
    return plain


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo is not None else value
    return value
