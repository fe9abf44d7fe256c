"""Runs jobs in a thread of the service, chunk by chunk; several services share them, and a killed one's are taken over.

Tenants take turns, so that nobody's long job keeps anybody else's waiting. A handler's refusal of an item is a verdict
and the job goes on; anything unexpected ends the job, and says so.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from adapters.clock import real_now
from adapters.postgres.engine import Unavailable
from adapters.postgres.jobs import Claimed, Cleaner, Handler, Jobs, LeaseLost
from adapters.postgres.tenants import Tenants
from domain.jobs import CannotGoOn
from domain.tenants import Tenant
from serving import metrics
from serving.background import Background
from serving.logs import places

EVERY_SECONDS = 0.5
CHUNK = 50
"""Items done in one transaction."""
TURN_SECONDS = 2.0
"""How long one tenant's jobs are worked on before it is the next one's turn."""
log = structlog.get_logger("kairos.jobs")


class JobRunner(Background):
    """Looks for jobs while the ``with`` block runs; at its end the chunk under way is finished."""

    def __init__(
        self,
        jobs: Jobs,
        tenants: Tenants,
        handlers: Mapping[str, Handler],
        *,
        first: Sequence[str] = (),
        cleaners: Mapping[str, Cleaner] | None = None,
        every_seconds: float = EVERY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            jobs: where they are kept.
            tenants: whose they are.
            handlers: what does each kind.
            first: kinds that go before all others of the same tenant, at each of its turns.
            cleaners: by kind, what removes what a job leaves that failed.
            every_seconds: pause between two looks.
            monotonic: tells when a turn is over.
        """
        super().__init__("jobs", every_seconds=every_seconds, on_unavailable="jobs.waiting")
        self._jobs = jobs
        self._tenants = tenants
        self._handlers = handlers
        self._first = first
        self._cleaners = cleaners or {}
        self._monotonic = monotonic

    def work(self) -> None:
        """Do every job that waits.

        Raises:
            Unavailable: PostgreSQL is away; what was done stays done.
        """
        self.run_waiting()

    def run_waiting(self) -> int:
        """Do every job that waits, the tenants in turn; returns how many came to an end.

        Raises:
            Unavailable: PostgreSQL is away; what was done stays done.
        """
        count, kinds = 0, list(self._handlers)
        while not self.has_ended:
            names = self._jobs.tenants_with_some(kinds, now=real_now())
            ended = [made for name in names if (made := self._turn_of(name, kinds)) is not None]
            if not ended:
                break
            count += sum(ended)
        return count

    def _turn_of(self, name: str, kinds: Sequence[str]) -> int | None:
        """Give a tenant its turn; whatever goes wrong with it, the next one gets theirs."""
        try:
            return self._turn(self._tenants.get(name), kinds)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one tenant's fault must not keep all others waiting
            log.error(  # noqa: TRY400 - the exception's text may quote somebody's data
                "jobs.turn_failed", tenant=name, error=type(error).__name__, at=places(error.__traceback__)
            )
            return None

    def _turn(self, tenant: Tenant, kinds: Sequence[str]) -> int | None:
        """Work on a tenant's jobs for one turn; returns how many came to an end, None where there was none to take."""
        until, ended = self._monotonic() + TURN_SECONDS, None
        while not self.has_ended and self._monotonic() < until:
            claimed = self._jobs.claim(tenant, kinds, now=real_now(), first=self._first)
            if claimed is None:
                break
            ended = (ended or 0) + self._work(tenant, claimed, until)
        return ended

    def _work(self, tenant: Tenant, claimed: Claimed, until: float) -> bool:
        """Do chunks of a job until a moment, at least one; returns whether the job came to an end."""
        try:
            while claimed.position < claimed.total and not self.has_ended:
                claimed = self._jobs.advance(tenant, claimed, self._handlers[claimed.kind], chunk=CHUNK, now=real_now())
                if self._monotonic() >= until:
                    break
            if claimed.position < claimed.total:
                self._jobs.release(tenant, claimed)
                return False
        except LeaseLost:
            log.warning("job.taken_over", tenant=tenant.tenant, job_id=claimed.job_id)
            return False
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a handler's fault must not take the other jobs with it
            self._failed(tenant, claimed, error)
        else:
            log.info("job.done", tenant=tenant.tenant, job_id=claimed.job_id, items=claimed.total)
            metrics.JOBS.labels(claimed.kind, "done").inc()
        return True

    def _failed(self, tenant: Tenant, claimed: Claimed, error: Exception) -> None:
        problem = str(error) if isinstance(error, CannotGoOn) else "an unexpected fault; the service's log has it"
        log.error(  # the exception's text may quote somebody's data
            "job.failed",
            tenant=tenant.tenant,
            job_id=claimed.job_id,
            kind=claimed.kind,
            error=type(error).__name__,
            at=places(error.__traceback__),
        )
        self._jobs.fail(tenant, claimed, problem, clean=self._cleaners.get(claimed.kind))
        metrics.JOBS.labels(claimed.kind, "failed").inc()
