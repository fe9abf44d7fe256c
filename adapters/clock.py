"""The one clock of Kairos: what time it is for a tenant.

A real tenant lives now. A sandbox tenant may be shifted, so that a recorded year can be replayed as if it were
today. Moments of receiving and recording are never shifted.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from domain.tenants import Tenant


def real_now() -> datetime:
    """Return the moment on the wall, UTC."""
    return datetime.now(UTC)


class Clock:
    """Tells the time of each tenant."""

    def __init__(self, real: Callable[[], datetime] = real_now) -> None:
        self._real = real

    def real(self) -> datetime:
        """Return the moment on the wall: for ``received_at``, ``recorded_at`` and audit only."""
        return self._real()

    def now(self, tenant: Tenant) -> datetime:
        """Return the tenant's moment: the wall's, plus a sandbox's offset."""
        return self._real() + timedelta(seconds=tenant.clock_offset_seconds)
