"""A tenant: whose recipients, events and decisions these are, and what time it is for them."""

from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from domain.values import Frozen

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


@cache
def zone_names() -> frozenset[str]:
    """Return every IANA time zone's name; listing them reads hundreds of files, so it is done once."""
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in zone_names():
        raise ValueError("must be the name of a time zone, such as Europe/Paris")
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]
"""An IANA time zone's name."""


MAX_OFFSET = 100 * 365.25 * 86_400
"""Seconds a sandbox may be from real time: a hundred years, so that every window before it is a date too."""


class Tenant(Frozen):
    """One organisation using Kairos; nothing is ever shared between two."""

    tenant: TenantName
    display_name: str
    time_zone: ZoneName = "UTC"
    is_sandbox: bool = False
    clock_offset_seconds: float = Field(default=0.0, ge=-MAX_OFFSET, le=MAX_OFFSET, allow_inf_nan=False)
    subject_secret: bytes = Field(repr=False, min_length=32)

    @model_validator(mode="after")
    def _real_tenants_live_now(self) -> "Tenant":
        if self.clock_offset_seconds and not self.is_sandbox:
            raise ValueError("clock_offset_seconds: only a sandbox tenant's clock may be shifted")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The tenant's time zone, used for a recipient without one."""
        return ZoneInfo(self.time_zone)
