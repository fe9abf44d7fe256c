"""What a caller tells about the moment of a request: where, on what, and how the world outside is.

Single values of a bounded number and size, which name nobody: no coordinates, no ids, no free text. What is told of the
outside counts, and is recorded, only where the message type declares it.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.profiles import Locale
from domain.segments import Fact
from domain.tenants import ZoneName
from domain.values import Frozen

MAX_TOLD = 20
"""Values of one group."""
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
ContextName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Whole = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
Told = bool | Whole | Annotated[float, Field(allow_inf_nan=False)] | Token
Values = Annotated[dict[ContextName, Told], Field(max_length=MAX_TOLD)]
ExternalName = Annotated[
    str, StringConstraints(pattern=r"^(market|weather|event|social)\.[a-z][a-z0-9_]{0,39}$", max_length=60)
]


class Location(Frozen):
    """Where the recipient is, no finer than a region."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{0,9}$")] | None = None


class External(Frozen):
    """How the world outside is, as the caller knows it; a message type declares which of it counts."""

    market: Values = Field(default_factory=dict)
    weather: Values = Field(default_factory=dict)
    event: Values = Field(default_factory=dict)
    social: Values = Field(default_factory=dict)

    def told(self) -> Iterator[tuple[str, Told]]:
        """Yield every value under its group's name and its own, sorted."""
        for group in ("event", "market", "social", "weather"):
            for name, value in sorted(getattr(self, group).items()):
                yield f"{group}.{name}", value


class RequestContext(Frozen):
    """What the caller knows about the recipient's moment."""

    locale: Locale | None = None
    time_zone: ZoneName | None = None
    device: Token | None = Field(default=None, description="Such as ios or desktop.")
    location: Location | None = Field(default=None, description="Where the recipient is now; no finer than a region.")
    session: Values | None = Field(default=None, description="Numbers, flags and short words about the visit.")
    external: External | None = Field(
        default=None, description="Counts, and is recorded, where the message type declares it in external_features."
    )

    def declared(self, names: Iterable[str]) -> dict[str, Told]:
        """Return what was told of the outside that a message type declares, by name."""
        wanted = frozenset(names)
        return {name: value for name, value in self._external() if name in wanted}

    def undeclared(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names of what was told of the outside and counts for nothing."""
        wanted = frozenset(names)
        return tuple(name for name, _ in self._external() if name not in wanted)

    def recorded(self, names: Iterable[str]) -> "RequestContext":
        """Return what is kept of the context: of the outside, what a message type declares."""
        if self.external is None:
            return self
        kept: dict[str, dict[str, Told]] = {}
        for name, value in self.declared(names).items():
            group, _, own = name.partition(".")
            kept.setdefault(group, {})[own] = value
        return self.model_copy(update={"external": External.model_validate(kept) if kept else None})

    def facts(self, names: Iterable[str]) -> dict[str, Fact]:
        """Return what rules may ask of the context, by name.

        Args:
            names: what the message type declares of the outside.
        """
        where = self.location or Location()
        said: dict[str, Fact] = {
            "context.device": self.device,
            "context.country": where.country,
            "context.region": where.region,
        }
        said |= {f"context.session.{name}": value for name, value in (self.session or {}).items()}
        said |= {f"context.external.{name}": value for name, value in self.declared(names).items()}
        return {name: value for name, value in said.items() if value is not None}

    def _external(self) -> Iterator[tuple[str, Told]]:
        return self.external.told() if self.external is not None else iter(())
