"""Runs jobs in a thread of the service, chunk by chunk; several services share them, and a killed one's are taken over.

A handler's refusal of an item is a verdict and the job goes on; anything unexpected ends the job, and says so.
"""

from collections.abc import Mapping

import structlog

from adapters.clock import real_now
from adapters.postgres.engine import Unavailable
from adapters.postgres.jobs import Claimed, Handler, Jobs, LeaseLost
from adapters.postgres.tenants import Tenants
from domain.tenants import Tenant
from serving import metrics
from serving.background import Background

EVERY_SECONDS = 0.5
CHUNK = 50
"""Items done in one transaction."""
log = structlog.get_logger("kairos.jobs")


class JobRunner(Background):
    """Looks for jobs while the ``with`` block runs; at its end the chunk under way is finished."""

    def __init__(
        self, jobs: Jobs, tenants: Tenants, handlers: Mapping[str, Handler], *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        super().__init__("jobs", every_seconds=every_seconds, on_unavailable="jobs.waiting")
        self._jobs = jobs
        self._tenants = tenants
        self._handlers = handlers

    def work(self) -> None:
        """Do every job that waits.

        Raises:
            Unavailable: PostgreSQL is away; what was done stays done.
        """
        self.run_waiting()

    def run_waiting(self) -> int:
        """Do every job that waits, of every tenant; returns how many were worked on.

        Raises:
            Unavailable: PostgreSQL is away; what was done stays done.
        """
        count = 0
        kinds = list(self._handlers)
        for name in self._jobs.tenants_with_some(kinds, now=real_now()):
            tenant = self._tenants.get(name)
            while not self.has_ended:
                claimed = self._jobs.claim(tenant, kinds, now=real_now())
                if claimed is None:
                    break
                self._work(tenant, claimed)
                count += 1
        return count

    def _work(self, tenant: Tenant, claimed: Claimed) -> None:
        handler = self._handlers[claimed.kind]
        try:
            while claimed.position < claimed.total and not self.has_ended:
                claimed = self._jobs.advance(tenant, claimed, handler, chunk=CHUNK, now=real_now())
        except LeaseLost:
            log.warning("job.taken_over", tenant=tenant.tenant, job_id=claimed.job_id)
        except Unavailable:
            raise
        except Exception:
            # The one place where a handler's fault is caught: it must not take the other jobs with it.
            log.exception("job.failed", tenant=tenant.tenant, job_id=claimed.job_id, kind=claimed.kind)
            self._jobs.fail(tenant, claimed, "an unexpected fault; the service's log has it")
            metrics.JOBS.labels(claimed.kind, "failed").inc()
        else:
            if claimed.position >= claimed.total:
                log.info("job.done", tenant=tenant.tenant, job_id=claimed.job_id, items=claimed.total)
                metrics.JOBS.labels(claimed.kind, "done").inc()
