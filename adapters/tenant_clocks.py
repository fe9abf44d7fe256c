"""What time it is for every tenant: the assets work for all of them at once, and a sandbox lives in its own year."""

from datetime import datetime

from adapters.clock import Clock
from adapters.postgres.tenants import Tenants


class TenantClocks:
    """Reads every tenant's clock."""

    def __init__(self, tenants: Tenants, clock: Clock) -> None:
        self._tenants = tenants
        self._clock = clock

    def now(self) -> dict[str, datetime]:
        """Return each tenant's moment, by name."""
        return {tenant.tenant: self._clock.now(tenant) for tenant in self._tenants.all()}
