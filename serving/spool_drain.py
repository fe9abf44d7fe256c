"""Brings decisions that were answered while PostgreSQL was away into it, before the service calls itself ready."""

from dataclasses import replace

import structlog
from prometheus_client import Counter, Gauge

from adapters.decision_spool import DecisionSpool
from adapters.postgres.allowances import Moved
from adapters.postgres.contacts import Exhausted
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Unavailable
from adapters.postgres.tenants import Tenants
from adapters.spooled import Spooled
from domain.identity import subject_key
from domain.tenants import Tenant
from serving.background import Background

EVERY_SECONDS = 0.5
log = structlog.get_logger("kairos.spool")
_WAITING = Gauge("kairos_spool_waiting", "Decisions that wait to be recorded.", multiprocess_mode="livesum")
_DRAINED = Counter("kairos_spool_drained", "Decisions brought into PostgreSQL, by what became of them.", ("how",))


class NotDrained(RuntimeError):
    """Decisions wait to be recorded."""


class SpoolDrain(Background):
    """Empties the spool whenever PostgreSQL takes what is in it."""

    def __init__(self, spool: DecisionSpool, decisions: DecisionLog, tenants: Tenants) -> None:
        super().__init__("spool-drain", every_seconds=EVERY_SECONDS, on_unavailable="spool.waits")
        self._spool = spool
        self._decisions = decisions
        self._tenants = tenants

    def check(self) -> None:
        """Do nothing when nothing waits; for readiness.

        Raises:
            NotDrained: something does.
        """
        if len(self._spool):
            raise NotDrained("decisions wait to be recorded")

    def work(self) -> None:
        """Record what waits.

        Raises:
            Unavailable: PostgreSQL is away; what waits stays.
        """
        _WAITING.set(len(self._spool))
        if not len(self._spool):
            return
        number = self._spool.drain(self._record)
        _WAITING.set(len(self._spool))
        log.info("spool.drained", decisions=number)

    def _record(self, spooled: Spooled) -> None:
        try:
            how = self._recorded(spooled, self._tenants.get(spooled.tenant))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one that can never be recorded must not keep the others back
            log.error(  # noqa: TRY400 - the exception's text may quote somebody's data
                "spool.set_aside", decision_id=spooled.row.decision_id, error=type(error).__name__
            )
            self._spool.set_aside(spooled)
            how = "set_aside"
        _DRAINED.labels(how).inc()

    def _recorded(self, spooled: Spooled, tenant: Tenant) -> str:
        """Record one decision, and say what became of it."""
        row = spooled.row
        for _ in range(_MOST_CHANGES):
            try:
                pending = [(row.decision_id, row.recipient_id, lambda _, row=row: row)]
                made = self._decisions.record(tenant, pending, actor=spooled.actor, now=row.decided_at)
            except Moved as moved:
                survivor = moved.survivors[row.recipient_id]
                row = replace(row, recipient_id=survivor, subject_key=subject_key(tenant.subject_secret, survivor))
            except Exhausted:
                # It was sent, whatever the budget says by now.
                row = replace(row, contact=None)
            else:
                return "recorded" if made[row.decision_id].is_new else "known"
        raise RuntimeError("the recipient is merged again and again")


_MOST_CHANGES = 5
