"""The deliverer: sends what waits for hooks, signed, several at a time, and keeps how every attempt went.

It is the only process that connects to places tenants named. Killed at any moment it loses nothing: what it had taken
is handed out again when its lease ends, so a receiver may hear of something twice, by the same ``webhook-id``.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from random import SystemRandom

import structlog

from adapters.clock import real_now
from adapters.egress import Answer, Egress, Unreachable
from adapters.postgres.hook_deliveries import HookDeliveries, Taken
from adapters.secrets import SecretBox
from adapters.settings import load_settings
from domain import webhooks
from domain.outside import Forbidden
from domain.webhooks import Attempt, DeliveryState
from serving import stream_wiring
from serving.stream_wiring import StreamParts
from serving.worker import LAG, Numbers, Worker

AT_A_TIME = 8
IDLE_SECONDS = 0.25
PRUNE_SECONDS = 60.0
KEEP_DELIVERED = timedelta(days=7)
KEEP_DEAD = timedelta(days=30)
_FAILED = "the answer is no success"
_RANDOM = SystemRandom()
_log = structlog.get_logger(__name__)


@dataclass
class DelivererCounts:
    """What a deliverer did since its start."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    forgotten: int = 0


class Deliverer:
    """Delivers at least once."""

    def __init__(
        self,
        *,
        deliveries: HookDeliveries,
        tenants: Callable[[], Sequence[str]],
        egress: Egress,
        now: Callable[[], datetime] = real_now,
        draw: Callable[[], float] = _RANDOM.random,
    ) -> None:
        """Connect nothing yet.

        Args:
            deliveries: what waits.
            tenants: names every tenant.
            egress: the way out.
            now: real time.
            draw: 0 to 1, evenly, for the jitter.
        """
        self.counts = DelivererCounts()
        self._deliveries = deliveries
        self._tenants = tenants
        self._egress = egress
        self._now = now
        self._draw = draw
        self._turn = 0
        self._prune_at = 0.0

    def step(self) -> float:
        """Send a few messages of the tenants whose turn it is; returns how many seconds to wait before the next."""
        started = time.monotonic()
        tenants = self._tenants()
        taken = self._take(tenants)
        with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="deliver") as pool:
            sent = {pool.submit(self._send, each): each for each in taken}
            # As they end, each in a commit of its own: a slow receiver holds back nobody else's.
            for done in as_completed(sent):
                self._keep(sent[done], *done.result())
        if started >= self._prune_at:
            self._prune_at = started + PRUNE_SECONDS
            self.counts.forgotten += sum(self._prune(tenant) for tenant in tenants)
        # With many tenants a round takes longer; it then rests as long, or it would keep a core busy with asking.
        return 0.0 if taken else max(IDLE_SECONDS, time.monotonic() - started)

    def observe(self) -> Numbers:
        """Return what was done and what waits, and the age of the oldest message that is not delivered yet."""
        found = [self._deliveries.waiting(tenant) for tenant in self._tenants()]
        oldest = min((since for _, since in found if since is not None), default=None)
        lag = (self._now() - oldest).total_seconds() if oldest is not None else 0.0
        return Numbers(asdict(self.counts), {LAG: lag, "waiting": float(sum(count for count, _ in found))})

    def _take(self, tenants: Sequence[str]) -> list[Taken]:
        taken: list[Taken] = []
        for _ in range(len(tenants)):
            if len(taken) >= AT_A_TIME:
                break
            self._turn = (self._turn + 1) % len(tenants)
            taken += self._deliveries.take(tenants[self._turn], now=self._now(), limit=AT_A_TIME - len(taken))
        return taken

    def _send(self, taken: Taken) -> tuple[Attempt, str | None]:
        started, at = time.monotonic(), self._now()
        secrets = taken.destination.signing(at)
        headers = webhooks.headers(secrets, taken.delivery_id, at, taken.body)
        headers |= {"Content-Type": "application/json", "User-Agent": "Kairos-Webhooks/1"}
        answer: Answer | None = None
        problem: str | None = None
        try:
            answer = self._egress.post(taken.destination.url, taken.body, headers)
        except (Unreachable, Forbidden) as error:
            problem = str(error)
        attempt = Attempt(
            attempt=taken.attempt,
            at=self._now(),
            status=answer.status if answer is not None else None,
            problem=problem,
            milliseconds=round(1000 * (time.monotonic() - started)),
        )
        if answer is not None and not attempt.is_success:
            attempt = attempt.model_copy(update={"problem": _FAILED})
        return attempt, answer.retry_after if answer is not None else None

    def _keep(self, taken: Taken, attempt: Attempt, retry_after: str | None) -> None:
        state = self._deliveries.ended(taken, attempt, draw=self._draw(), retry_after=retry_after)
        told = {"tenant": taken.tenant, "hook": taken.hook_id, "delivery": taken.delivery_id, "status": attempt.status}
        if state is DeliveryState.DELIVERED:
            self.counts.delivered += 1
            _log.debug("hook.delivered", **told)
            return
        self.counts.failed += 1
        self.counts.dead += state is DeliveryState.DEAD
        _log.warning("hook.failed", **told, attempt=attempt.attempt, problem=attempt.problem, state=state.value)

    def _prune(self, tenant: str) -> int:
        now = self._now()
        return self._deliveries.prune(tenant, delivered_before=now - KEEP_DELIVERED, dead_before=now - KEEP_DEAD)


def deliverer_of(parts: StreamParts, egress: Egress) -> Deliverer:
    """Return the deliverer of this installation."""
    deliveries = HookDeliveries(parts.database, SecretBox.of(parts.settings))
    return Deliverer(deliveries=deliveries, tenants=parts.outbox.tenants, egress=egress)


def main() -> None:
    """Run the deliverer until SIGTERM."""

    def work(parts: StreamParts) -> None:
        egress = Egress.of(parts.settings)
        deliverer = deliverer_of(parts, egress)
        try:
            worker = Worker("deliverer", deliverer.step, observe=deliverer.observe, data_dir=parts.settings.data_dir)
            worker.run_until_signalled()
        finally:
            egress.close()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
