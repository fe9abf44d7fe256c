"""Profiles: what is known about a recipient, where each part came from, and which source may overrule which.

No address is kept here: Kairos decides, others deliver.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from domain.profile_facts import MAX_LISTED, Age, ContentPreferences, Experience, Language, ProfileSource, ShortText
from domain.tenants import ZoneName
from domain.values import Channel, Frozen, Reason

MAX_ATTRIBUTES = 64
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|\d{3}))?$")]
"""A language, with script and region if they matter: ``fr``, ``fr-CA``, ``zh-Hant-TW`` (BCP 47)."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AttributeText = Annotated[str, StringConstraints(max_length=500)]
AttributeValue = bool | Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)] | float | AttributeText


class ZoneSource(StrEnum):
    """How a time zone became known, weakest first."""

    NETWORK = "network"
    PHONE_COUNTRY = "phone_country"
    DEVICE = "device"
    DECLARED = "declared"

    @property
    def rank(self) -> int:
        """A higher rank may overrule a lower one."""
        return list(ZoneSource).index(self)


class ZoneClaim(Frozen):
    """A recipient's time zone, with how it is known and how sure that is."""

    name: ZoneName
    source: ZoneSource
    confidence: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)


class Reachability(Frozen):
    """Whether the sender can reach the recipient on one channel."""

    reachable: bool


class Profile(Frozen):
    """What is known about a recipient."""

    locale: Locale | None = None
    language: Language | None = None
    country: Country | None = None
    region: ShortText | None = None
    city: ShortText | None = None
    age: Age | None = None
    job_role: ShortText | None = None
    industry: ShortText | None = None
    experience: Experience | None = None
    skills: tuple[ShortText, ...] = Field(default=(), max_length=MAX_LISTED)
    content: ContentPreferences | None = None
    source: ProfileSource | None = None
    time_zone: ZoneClaim | None = None
    channels: dict[Channel, Reachability] = Field(default_factory=dict)
    attributes: dict[AttributeName, AttributeValue] = Field(default_factory=dict, max_length=MAX_ATTRIBUTES)

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone, if one is known."""
        return ZoneInfo(self.time_zone.name) if self.time_zone else None

    @property
    def quality(self) -> float:
        """How good the data is, 0 to 1.

        0.7 x the share of the describing fields that are known, 0.15 x trust in the source, 0.15 x certainty of the
        time zone (its confidence x the rank of its source, the strongest being 1).
        A source nobody named has no trust, a zone nobody knows no certainty.
        """
        known = sum(getattr(self, name) not in (None, ()) for name in DESCRIBING) / len(DESCRIBING)
        trust = self.source.trust if self.source else 0.0
        zone = self.time_zone
        certainty = zone.confidence * (zone.source.rank + 1) / len(ZoneSource) if zone else 0.0
        quality: float = round(0.7 * known + 0.15 * trust + 0.15 * certainty, 4)
        return quality


DESCRIBING = (
    "locale", "language", "country", "region", "city", "age", "job_role", "industry", "experience", "skills",
    "content", "time_zone",
)  # fmt: skip
"""The fields that count for quality; reachability and attributes of a tenant's own are nobody's measure."""


class ProfilePatch(Profile):
    """Parts of a profile to change; what is absent stays, null removes, maps are merged by key."""

    channels: dict[Channel, Reachability | None] = Field(default_factory=dict)  # type: ignore[assignment]
    attributes: dict[AttributeName, AttributeValue | None] = Field(  # type: ignore[assignment]
        default_factory=dict, max_length=MAX_ATTRIBUTES
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must name at least one field to change")
        return self

    def applied_to(self, profile: Profile) -> Profile:
        """Return the changed profile; a zone known from a weaker source than the present one is not taken.

        Raises:
            ValueError: the merged profile would hold too many attributes.
        """
        changes: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        changes |= {name: _merged(getattr(profile, name), changes[name]) for name in _MAPS & changes.keys()}
        if outranked(profile.time_zone, self.time_zone):
            changes.pop("time_zone", None)
        return Profile.model_validate(profile.model_copy(update=changes).model_dump())


_MAPS = {"channels", "attributes"}


def _merged(present: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in {**present, **changes}.items() if value is not None}


def outranked(present: ZoneClaim | None, new: ZoneClaim | None) -> bool:
    """True when the zone that is known comes from a stronger source than the new one."""
    return present is not None and new is not None and present.source.rank > new.source.rank


def refusal(profile: Profile | None, *, channel: Channel) -> Reason | None:
    """Return why the recipient cannot be reached on the channel; what nobody said is taken as reachable."""
    known = profile.channels.get(channel) if profile else None
    return Reason.CHANNEL_UNREACHABLE if known is not None and not known.reachable else None
