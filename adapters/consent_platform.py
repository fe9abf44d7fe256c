"""Takes a consent platform's records over; ``HandedOver`` is the reference: records that somebody brought."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from adapters.postgres.consent import ConsentStore
from domain.consent import ConsentChange
from domain.consent_platform import Admitted, ConsentPlatform, Refused, admitted
from domain.tenants import Tenant
from domain.values import Frozen


class RecordVerdict(Frozen):
    """What became of one record: ``known`` when all it says was recorded before."""

    position: int
    verdict: Literal["recorded", "known", "rejected"]
    field: str | None = None
    expected: str | None = None


@dataclass(frozen=True)
class HandedOver:
    """A platform whose records were brought here, by whatever means."""

    name: str
    brought: Sequence[Mapping[str, Any]]

    def records(self) -> Iterable[Mapping[str, Any]]:
        """Yield them."""
        return self.brought


def take_over(
    platform: ConsentPlatform, store: ConsentStore, tenant: Tenant, *, actor: str, now: datetime
) -> list[RecordVerdict]:
    """Record what a platform says, in one transaction, and return the verdict on each record in order.

    Raises:
        Unavailable: PostgreSQL could not commit; nothing was recorded.
    """
    read = [admitted(raw, platform=platform.name, now=now) for raw in platform.records()]
    said: list[tuple[str, ConsentChange]] = []
    places: list[int] = []
    for position, each in enumerate(read):
        if isinstance(each, Admitted):
            said += [(each.recipient_id, change) for change in each.changes]
            places += [position] * len(each.changes)
    new = store.record_once(tenant, said, actor=actor, now=now)
    recorded = {position for position, is_new in zip(places, new, strict=True) if is_new}
    return [_verdict(position, each, position in recorded) for position, each in enumerate(read)]


def _verdict(position: int, read: Admitted | Refused, is_new: bool) -> RecordVerdict:  # noqa: FBT001
    if isinstance(read, Refused):
        return RecordVerdict(position=position, verdict="rejected", field=read.field, expected=read.expected)
    return RecordVerdict(position=position, verdict="recorded" if is_new else "known")
