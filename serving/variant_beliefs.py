"""The beliefs that serve: read by a background thread, swapped in whole, and taken by decisions without waiting.

PostgreSQL away or a damaged belief changes nothing: what was believed before goes on being believed.
"""

from collections.abc import Callable, Iterable

import structlog
from prometheus_client import Counter, Gauge

from adapters.postgres.variant_beliefs import Stored, VariantBeliefs
from models.variant_belief.belief import BadBelief, verified
from models.variant_belief.scored import Versioned
from serving.per_tenant import EVERY_SECONDS, PerTenant

_log = structlog.get_logger("kairos.beliefs")
_LOADED = Gauge(
    "kairos_variant_beliefs", "Beliefs about message types' variants that serve.", multiprocess_mode="mostrecent"
)
_REFUSED = Counter("kairos_variant_beliefs_refused", "Beliefs that were stored and not loaded.")


class ServingBeliefs(PerTenant):
    """Every tenant's beliefs in memory."""

    def __init__(
        self, stored: VariantBeliefs, tenants: Callable[[], Iterable[str]], *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        """Read nothing yet.

        Args:
            stored: where beliefs are kept.
            tenants: the names of all tenants.
            every_seconds: pause between two looks.
        """
        super().__init__("beliefs", tenants, every_seconds=every_seconds, on_unavailable="beliefs.postgres_away")
        self._stored = stored
        self._seen: dict[str, dict[str, int]] = {}
        self._current: dict[tuple[str, str], Versioned] = {}

    def __call__(self, tenant: str, message_type: str) -> Versioned | None:
        """Return what is believed of a tenant's message type now; None before anything was learnt. Never waits."""
        self.asked_about(tenant)
        return self._current.get((tenant, message_type))

    def look_after(self, tenant: str) -> None:
        """Look once for a tenant's newer versions.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        seen = self._seen.setdefault(tenant, {})
        for each in self._stored.newer(tenant, seen):
            seen[each.message_type] = each.version
            self._swap(tenant, each)

    def _swap(self, tenant: str, stored: Stored) -> None:
        try:
            belief = verified(stored.body, stored.digest)
        except BadBelief as error:
            _REFUSED.inc()
            _log.error(
                "belief.refused", tenant=tenant, type=stored.message_type, version=stored.version, problem=str(error)
            )
            return
        self._current[tenant, stored.message_type] = Versioned(stored.version, belief)
        _LOADED.set(len(self._current))
        _log.info("belief.loaded", tenant=tenant, type=stored.message_type, version=stored.version)
