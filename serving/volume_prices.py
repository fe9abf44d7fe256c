"""The prices of volume that serve: read by a background thread, swapped in whole, and taken without waiting.

PostgreSQL away changes no price: the last one known goes on, and says so.
"""

import time
from collections.abc import Callable, Iterable

from prometheus_client import Gauge

from adapters.postgres.channel_prices import ChannelPrices
from domain.volume_prices import VolumePrices
from serving.per_tenant import EVERY_SECONDS, PerTenant

STALE_SECONDS = 90.0
"""A price that was not confirmed for so long is told to be old."""
_PRICE = Gauge(
    "kairos_channel_price",
    "Price of one message of the scope (a channel, or tenant for everything), in conversions.",
    ("tenant", "scope"),
    multiprocess_mode="mostrecent",
)


class ServingPrices(PerTenant):
    """Every tenant's prices in memory."""

    def __init__(
        self,
        stored: ChannelPrices,
        tenants: Callable[[], Iterable[str]],
        *,
        every_seconds: float = EVERY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read nothing yet.

        Args:
            stored: where prices are kept.
            tenants: the names of all tenants.
            every_seconds: pause between two looks.
            monotonic: tells how old a reading is.
        """
        super().__init__(
            "prices", tenants, every_seconds=every_seconds, on_unavailable="prices.postgres_away", monotonic=monotonic
        )
        self._stored = stored
        self._current: dict[str, VolumePrices] = {}
        self._read_at: dict[str, float] = {}

    def __call__(self, tenant: str) -> VolumePrices | None:
        """Return a tenant's prices as they are known now; None when nothing of it was ever paced. Never waits."""
        self.asked_about(tenant)
        prices = self._current.get(tenant)
        if prices is None or self._monotonic() - self._read_at[tenant] <= STALE_SECONDS:
            return prices
        return prices.model_copy(update={"is_stale": True})

    def look_after(self, tenant: str) -> None:
        """Read once what is in force for a tenant.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        found = self._stored.in_force(tenant)
        self._read_at[tenant] = self._monotonic()
        if found:
            self._current[tenant] = VolumePrices(scopes=found)
        for scope, price in found.items():
            _PRICE.labels(tenant, scope).set(price.price)
