"""Work that is repeated tenant by tenant: soon for those who were asked about lately, now and then for everybody."""

import time
from collections.abc import Callable, Iterable

from serving.background import Background

EVERY_SECONDS = 5.0
EVERYBODY_SECONDS = 300.0
"""Pause between two rounds about every tenant; of thousands, few decide in the same minute."""
LATELY_SECONDS = 600.0
"""How long somebody who was asked about is looked after in every round."""


class PerTenant(Background):
    """Looks after tenants one by one."""

    def __init__(
        self,
        name: str,
        tenants: Callable[[], Iterable[str]],
        *,
        on_unavailable: str,
        every_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            name: of the thread, and of its log.
            tenants: the names of all tenants.
            on_unavailable: the log event for a round that PostgreSQL did not answer.
            every_seconds: pause between two rounds.
            monotonic: tells when somebody was asked about.
        """
        super().__init__(name, every_seconds=every_seconds, on_unavailable=on_unavailable)
        self._tenants = tenants
        self._monotonic = monotonic
        self._asked: dict[str, float] = {}
        self._everybody_at: float | None = None

    def look_after(self, tenant: str) -> None:
        """Do one tenant's part of a round; a subclass says what.

        Raises:
            Unavailable: PostgreSQL is away; the next round tries again.
        """
        raise TypeError(f"a subclass says what is done for {tenant}")

    def asked_about(self, tenant: str) -> None:
        """Note that a decision asks about a tenant now."""
        self._asked[tenant] = self._monotonic()

    def work(self) -> None:
        """Look after those who were asked about lately, or after everybody when it is time.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        now = self._monotonic()
        is_time = self._everybody_at is None or now - self._everybody_at >= EVERYBODY_SECONDS
        for tenant in list(self._tenants()) if is_time else self._lately(now):
            self.look_after(tenant)
        if is_time:
            self._everybody_at = now

    def _lately(self, now: float) -> list[str]:
        """Return who was asked about lately, and forget the others."""
        found = [tenant for tenant, at in list(self._asked.items()) if now - at <= LATELY_SECONDS]
        for tenant in self._asked.keys() - set(found):
            self._asked.pop(tenant, None)
        return found
