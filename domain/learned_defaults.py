"""Which template a new recipient gets: the one whose similar members engaged most and opted out least, with evidence.

Pure. What was observed of members is no proof of what the template did to them; the evidence says how much of it
there is. Below ``MIN_MEMBERS`` nothing is told and nothing is chosen: the tenant's defaults then hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from domain.events import Name
from domain.profile_facts import ContentPreferences, Experience
from domain.profiles import Profile
from domain.values import Frozen

MIN_MEMBERS = 20
"""Fewest similar members who were sent something, for a template to be considered; no smaller group is told of."""
MIN_FIELDS = 2
"""Fewest fields both profiles must say something about to be compared."""
SIMILAR = 0.6
"""Least similarity, 0 to 1, of a member who counts."""
PRIOR_MEMBERS = 20
"""How many members the rate of all templates together counts for in the rate of each."""
OPT_OUT_WEIGHT = 5.0
"""How many members who engage one member who opts out outweighs."""
_AGE_BAND = 10


class Basis(StrEnum):
    """Why there is or is not a template for a recipient."""

    CHOSEN = "chosen"
    NOT_ENOUGH_DATA = "not_enough_data"
    NO_CONSENT = "no_consent_to_personalization"


@dataclass(frozen=True)
class Member:
    """What is known of one member of a template: what they are like, and what they did since they have it."""

    template_id: str
    version: int
    profile: Profile
    has_engaged: bool
    has_opted_out: bool


class Candidate(Frozen):
    """The evidence for one template in one version; counts and rates are null below the minimum."""

    template_id: Name
    version: int
    is_enough: bool = Field(description=f"At least {MIN_MEMBERS} similar members were sent something.")
    members: int | None = Field(default=None, description="Similar members who were sent something.")
    engaged: int | None = None
    opted_out: int | None = None
    mean_similarity: float | None = Field(default=None, description="0 to 1.")
    engaged_rate: float | None = Field(default=None, description="Smoothed towards all templates together, 0 to 1.")
    opt_out_rate: float | None = Field(default=None, description="Smoothed likewise, 0 to 1.")
    value: float | None = Field(default=None, description=f"engaged_rate - {OPT_OUT_WEIGHT:g} x opt_out_rate.")


class Evidence(Frozen):
    """What was chosen for a recipient, and on what; it is never a consent."""

    basis: Basis
    chosen: Name | None = None
    version: int | None = None
    fields: tuple[str, ...] = Field(default=(), description="Fields of the profile that were compared.")
    least_similarity: float = SIMILAR
    min_members: int = MIN_MEMBERS
    candidates: tuple[Candidate, ...] = ()


def similarity(one: Profile, other: Profile) -> float | None:
    """Return how alike two profiles are, 0 to 1, over what both say; None when that is too little."""
    known, theirs = _traits(one), _traits(other)
    both = [_alike(known[name], theirs[name]) for name in known if name in theirs]
    return sum(both) / len(both) if len(both) >= MIN_FIELDS else None


def compared(profile: Profile) -> tuple[str, ...]:
    """Return the fields of a profile that can be compared, by name."""
    return tuple(_traits(profile))


def comparable(profile: Profile) -> Profile:
    """Return a profile with nothing in it but what is compared."""
    return Profile(
        content=ContentPreferences(topics=profile.content.topics) if profile.content else None,
        **{name: getattr(profile, name) for name in _COMPARED},
    )


_COMPARED = ("country", "locale", "language", "age", "experience", "industry", "job_role", "skills")


def choose(profile: Profile, members: Iterable[Member], eligible: Mapping[str, int]) -> Evidence:
    """Return the template for a recipient with its evidence.

    Args:
        profile: the recipient's.
        members: who was sent something since they have a template; any version.
        eligible: the version in force of each template the recipient may have, by name; only it is considered.
    """
    groups: dict[str, list[tuple[Member, float]]] = {name: [] for name in sorted(eligible)}
    for member in members:
        alike = similarity(profile, member.profile)
        if alike is not None and alike >= SIMILAR and eligible.get(member.template_id) == member.version:
            groups[member.template_id].append((member, alike))
    pooled = [each for group in groups.values() if len(group) >= MIN_MEMBERS for each in group]
    candidates = tuple(_candidate(name, eligible[name], group, pooled) for name, group in groups.items())
    enough = [each for each in candidates if each.value is not None]
    best = max(enough, key=lambda each: each.value or 0.0, default=None)
    return Evidence(
        basis=Basis.CHOSEN if best else Basis.NOT_ENOUGH_DATA,
        chosen=best.template_id if best else None,
        version=best.version if best else None,
        fields=compared(profile),
        candidates=candidates,
    )


def _candidate(
    name: str, version: int, group: Sequence[tuple[Member, float]], pooled: Sequence[tuple[Member, float]]
) -> Candidate:
    if len(group) < MIN_MEMBERS:
        return Candidate(template_id=name, version=version, is_enough=False)
    engaged, opted_out = (sum(getattr(each, what) for each, _ in group) for what in _OBSERVED)
    engaged_rate, opt_out_rate = (
        _smoothed([getattr(m, what) for m, _ in group], _rate(pooled, what)) for what in _OBSERVED
    )
    return Candidate(
        template_id=name,
        version=version,
        is_enough=True,
        members=len(group),
        engaged=engaged,
        opted_out=opted_out,
        mean_similarity=round(sum(alike for _, alike in group) / len(group), 4),
        engaged_rate=round(engaged_rate, 6),
        opt_out_rate=round(opt_out_rate, 6),
        value=round(engaged_rate - OPT_OUT_WEIGHT * opt_out_rate, 6),
    )


_OBSERVED = ("has_engaged", "has_opted_out")


def _rate(pooled: Sequence[tuple[Member, float]], what: str) -> float:
    count: int = sum(getattr(each, what) for each, _ in pooled)
    return (count + 1) / (len(pooled) + 2)


def _smoothed(observed: Sequence[bool], prior: float) -> float:
    return (sum(observed) + PRIOR_MEMBERS * prior) / (len(observed) + PRIOR_MEMBERS)


def _traits(profile: Profile) -> dict[str, object]:
    """Return what is compared: nothing finer than a country, a decade of age, a line of work."""
    language = profile.language or (profile.locale.partition("-")[0] if profile.locale else None)
    said = {
        "country": profile.country,
        "language": language,
        "age": profile.age // _AGE_BAND if profile.age is not None else None,
        "experience": profile.experience,
        "industry": profile.industry.casefold() if profile.industry else None,
        "job_role": profile.job_role.casefold() if profile.job_role else None,
        "topics": frozenset(each.casefold() for each in profile.content.topics) if profile.content else None,
        "skills": frozenset(each.casefold() for each in profile.skills),
    }
    return {name: value for name, value in said.items() if value is not None and value != frozenset()}


def _alike(one: object, other: object) -> float:
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return len(one & other) / len(one | other)
    if isinstance(one, Experience) and isinstance(other, Experience):
        steps = list(Experience)
        return 1 - abs(steps.index(one) - steps.index(other)) / (len(steps) - 1)
    if isinstance(one, int) and isinstance(other, int):
        # Decades of age: the next one is half as near.
        return max(0.0, 1 - abs(one - other) / 2)
    return float(one == other)
