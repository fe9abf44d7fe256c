"""Where a recipient may be: the plausible time zones and countries, how that is known, and how sure it is.

Declared beats device beats phone country beats network. Below ``SURE`` every plausible zone counts, and a message may
go only at an hour that is allowed in all of them.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

from babel.core import get_global

from domain.profiles import Profile
from domain.tenants import zone_names

SURE = 0.8
"""Confidence from which one zone is taken as the recipient's."""

REQUEST, COUNTRY, TENANT = "request", "country", "tenant"
"""Sources besides those of a profile's own zone: the request's context, the zones of a country, the tenant's zone."""


@dataclass(frozen=True)
class Place:
    """Where somebody may be; the first zone is the likeliest. ``countries`` None: it may be any."""

    zones: tuple[ZoneInfo, ...]
    countries: frozenset[str] | None
    source: str
    confidence: float

    @property
    def zone(self) -> ZoneInfo:
        """The likeliest zone."""
        return self.zones[0]

    @property
    def is_sure(self) -> bool:
        """True when one zone is all there is to consider."""
        return len(self.zones) == 1 and self.confidence >= SURE


def place_of(profile: Profile | None, told_zone: str | None, tenant_zone: ZoneInfo) -> Place:
    """Return where a recipient may be.

    Args:
        profile: what is known, if anything.
        told_zone: the IANA zone the request names, or None.
        tenant_zone: where the tenant is: the guess when nothing is known.
    """
    country = profile.country if profile is not None else None
    claim = profile.time_zone if profile is not None else None
    if claim is not None and claim.confidence >= SURE:
        return _at(claim.name, country, claim.source.value, claim.confidence)
    if told_zone is not None and claim is None:
        return _at(told_zone, country, REQUEST, 1.0)
    if claim is not None:
        return _unsure(claim.name, claim.source.value, claim.confidence, country, told_zone, tenant_zone)
    if country is not None and zones_of(country):
        zones = _zones(zones_of(country))
        return Place(zones, frozenset({country}), COUNTRY, 1.0 if len(zones) == 1 else 0.0)
    return Place((tenant_zone,), _countries(country, country_of(tenant_zone.key)), TENANT, 0.0)


def _at(name: str, country: str | None, source: str, confidence: float) -> Place:
    return Place((ZoneInfo(name),), _countries(country, country_of(name)), source, confidence)


def _unsure(
    name: str, source: str, confidence: float, country: str | None, told: str | None, tenant_zone: ZoneInfo
) -> Place:
    """Return every zone that may be meant: the one claimed, the one told, the country's, else the tenant's."""
    others = [*([told] if told else []), *(zones_of(country) if country else (tenant_zone.key,))]
    names = list(dict.fromkeys([name, *others]))
    known = {country_of(each) for each in names}
    countries = frozenset({country}) if country else None if None in known else frozenset(filter(None, known))
    return Place(_zones(names), countries, source, confidence)


def _countries(declared: str | None, of_zone: str | None) -> frozenset[str] | None:
    """Return the country declared, else the zone's; a zone like UTC lies in none, and then it may be any."""
    country = declared or of_zone
    return frozenset({country}) if country else None


def _zones(names: list[str] | tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    return tuple(ZoneInfo(name) for name in names)


def country_of(zone: str) -> str | None:
    """Return the ISO 3166 code of the country a zone lies in, or None for zones like UTC."""
    canonical = get_global("zone_aliases").get(zone, zone)
    country = get_global("zone_territories").get(canonical)
    return country if country is not None and country.isalpha() and country != "ZZ" else None


def zones_of(country: str) -> tuple[str, ...]:
    """Return the zones of a country by name, empty for a code that has none."""
    return _zones_by_country().get(country, ())


@cache
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for zone, country in sorted(get_global("zone_territories").items()):
        if zone in zone_names():
            found[country].append(zone)
    return {country: tuple(zones) for country, zones in found.items()}
