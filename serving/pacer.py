"""The pacer: moves each tenant's prices of volume towards its targets, a step a minute at most.

A price is a row with all that its next step needs: killed at any moment, a pacer goes on where the last commit was, and
two of them move nothing twice.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from adapters.postgres.channel_prices import Book, ChannelPrices, Standing
from adapters.postgres.message_types import MessageTypes
from domain.quiet_hours import QuietHours
from domain.tenants import Tenant
from domain.values import MessageClass
from domain.volume_targets import VolumeTarget, windows
from serving import volume_pacing
from serving.stream_wiring import StreamParts
from serving.volume_pacing import Clock
from serving.volume_values import Valued

EVERY_SECONDS = 60.0
LEAST_SECONDS = 50.0
"""Between two steps of one price, on the tenant's clock: whoever asks sooner moves nothing."""
GRACE_SECONDS = 5.0
"""How long a decision may take from its row to its commit; later ones would not be counted."""
SAMPLE = 2_000
"""Decisions from which a day's first price is told."""
_log = structlog.get_logger(__name__)


@dataclass
class PacerCounts:
    """What a pacer did since its start."""

    price_steps: int = 0


class Pacer:
    """Moves prices, tenant by tenant."""

    def __init__(
        self,
        *,
        prices: ChannelPrices,
        types: MessageTypes,
        tenants: Callable[[], Iterable[Tenant]],
        now: Callable[[Tenant], datetime],
        quiet: QuietHours,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """Connect nothing yet.

        Args:
            prices: what is moved.
            types: which message types there are; marketing is paced, what is owed is not.
            tenants: whose.
            now: a tenant's clock.
            quiet: the hours for which nothing is planned at first.
            grace_seconds: see ``ChannelPrices.alone``.
        """
        self.counts = PacerCounts()
        self._prices = prices
        self._types = types
        self._tenants = tenants
        self._now = now
        self._quiet = quiet
        self._grace_seconds = grace_seconds

    def step(self) -> float:
        """Move every price whose step is due; return how many seconds to wait before the next."""
        for tenant in self._tenants():
            self.pace(tenant)
        return EVERY_SECONDS

    def pace(self, tenant: Tenant) -> int:
        """Move one tenant's prices; return how many moved."""
        with self._prices.alone(tenant, grace_seconds=self._grace_seconds) as book:
            return self._paced(tenant, book) if book is not None else 0

    def _paced(self, tenant: Tenant, book: Book) -> int:
        targets, before = book.targets().by_scope(), book.newest()
        if not targets and not any(standing.price for _, standing in before.values()):
            return 0
        clock = Clock(self._now(tenant), tenant.zone, self._quiet, book.until)
        types = [
            each.definition.type
            for each in self._types.all(tenant)
            if each.definition.message_class is MessageClass.MARKETING
        ]
        prices = {scope: standing.price for scope, (_, standing) in before.items()}
        told: dict[str, float] = {}
        for scope in sorted(targets.keys() | before.keys()):
            version, standing = before.get(scope, (0, None))
            after = self._after(book, scope, types, targets.get(scope), standing, clock, prices | told)
            if after is not None:
                book.keep(scope, version + 1, after)
                self._tell(tenant, scope, after)
                told[scope] = after.price
        return len(told)

    @staticmethod
    def _after(
        book: Book,
        scope: str,
        types: list[str],
        target: VolumeTarget | None,
        before: Standing | None,
        clock: Clock,
        prices: Mapping[str, float],
    ) -> Standing | None:
        """Return the next standing of one price; None when nothing is due."""
        if target is None:
            return volume_pacing.ended(before) if before is not None and before.price else None
        if before is not None and (clock.now - before.at).total_seconds() < LEAST_SECONDS:
            return None
        day, _, week = windows(clock.now, clock.zone)
        since = before.counted_until if before is not None else None
        counted = book.counted(scope, types, since=since, day=day, week=week)
        if volume_pacing.is_opening(before, counted, clock):
            valued = Valued.of(book.drawn(types, most=SAMPLE), prices)
            return volume_pacing.opened(before, target, counted, valued, scope, clock)
        assert before is not None  # noqa: S101 - nothing was opened otherwise
        return volume_pacing.stepped(before, target, counted, clock)

    def _tell(self, tenant: Tenant, scope: str, after: Standing) -> None:
        self.counts.price_steps += 1
        _log.info(
            "price.moved",
            tenant=tenant.tenant,
            scope=scope,
            price=after.price,
            sent=after.sent,
            planned=round(after.planned, 3),
            sent_day=after.sent_day,
        )


def pacer_of(parts: StreamParts) -> Pacer:
    """Return the pacer of this installation."""
    settings = parts.settings
    return Pacer(
        prices=ChannelPrices(parts.database),
        types=MessageTypes(parts.database),
        tenants=parts.tenants.all,
        now=parts.clock.now,
        quiet=QuietHours(start=settings.quiet_hours_start, end=settings.quiet_hours_end),
    )
