"""The sealer: links audit rows into their tenant's chain a fifth of a second after their commit, and signs its end.

It also rotates keys that are due, a batch a step: the key-encryption key, and data keys with what they sealed.

It needs PostgreSQL and nothing else. While it is away rows wait unlinked, and no writer notices.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog

from adapters.checkpoints import BadCheckpoint, Checkpoints
from adapters.clock import real_now
from adapters.keyring import Keyring
from adapters.postgres.audit_chain import BATCH, AuditChain
from adapters.postgres.data_key_rotation import DataKeyRotation
from adapters.postgres.key_rotation import KeyRotation
from adapters.postgres.late_sealing import LateSealing
from adapters.secrets import SecretBox
from adapters.settings import Settings, load_settings
from serving import stream_wiring
from serving.stream_wiring import StreamParts
from serving.worker import Numbers, Worker

SEAL_SECONDS = 0.2
CHECKPOINT_EVERY = timedelta(hours=1)
ROTATION_EVERY = timedelta(minutes=10)
"""Time between two looks at the age of the key-encryption key."""
ACTOR = "sealer"
_log = structlog.get_logger(__name__)


@dataclass
class SealerCounts:
    """What a sealer did since its start."""

    linked: int = 0
    checkpoints: int = 0
    refused_checkpoints: int = 0
    rewrapped: int = 0


class Sealer:
    """Links what waits, tenant by tenant; doing it twice does no harm."""

    def __init__(
        self,
        *,
        chain: AuditChain,
        checkpoints: Checkpoints,
        rotate: Callable[[datetime], int] = lambda _: 0,
        now: Callable[[], datetime] = real_now,
    ) -> None:
        """Connect nothing yet.

        Args:
            chain: what is linked.
            checkpoints: where its ends are signed.
            rotate: asked now and then; does a part of a rotation that is due and says how many keys it wrapped.
            now: real time.
        """
        self.counts = SealerCounts()
        self._chain = chain
        self._checkpoints = checkpoints
        self._now = now
        self._due_at: dict[str, datetime] = {}
        self._rotate = rotate
        self._rotate_at = now()

    def step(self) -> float:
        """Link one batch of every tenant; returns how many seconds to wait before the next step."""
        linked = 0
        for tenant in self._chain.tenants():
            count = self._chain.seal(tenant)
            linked = max(linked, count)
            self.counts.linked += count
            if self._now() >= self._due_at.setdefault(tenant, self._first_due(tenant)):
                self._due_at[tenant] = self._now() + CHECKPOINT_EVERY
                self._checkpoint(tenant)
        self._rotate_now_and_then()
        return 0.0 if linked == BATCH else SEAL_SECONDS

    def _rotate_now_and_then(self) -> None:
        if self._now() < self._rotate_at:
            return
        count = self._rotate(self._now())
        self.counts.rewrapped += count
        # While there is something to do the next step goes on with it.
        self._rotate_at = self._now() + (timedelta() if count else ROTATION_EVERY)

    def observe(self) -> Numbers:
        """Return what was done."""
        return Numbers(asdict(self.counts), {})

    def _first_due(self, tenant: str) -> datetime:
        try:
            newest = self._checkpoints.newest_at(tenant)
        except BadCheckpoint:
            newest = None
        return self._now() if newest is None else newest + CHECKPOINT_EVERY

    def _checkpoint(self, tenant: str) -> None:
        try:
            written = self._checkpoints.write(tenant, self._chain.head(tenant), at=self._now())
        except (BadCheckpoint, OSError) as error:
            self.counts.refused_checkpoints += 1
            _log.error("audit.checkpoint_refused", tenant=tenant, problem=type(error).__name__)
            return
        if written is not None:
            self.counts.checkpoints += 1
            _log.info("audit.checkpoint", tenant=tenant, file=written.name)


def sealer_of(settings: Settings, parts: StreamParts) -> Sealer:
    """Return the sealer of this installation."""
    checkpoints = Checkpoints.of(settings, SecretBox.of(settings))
    rotation = KeyRotation(parts.database, Keyring.of(settings))
    renewal, late = DataKeyRotation(parts.database), LateSealing(parts.database)
    every = timedelta(days=settings.key_rotation_days)

    def rotate(now: datetime) -> int:
        """Do one batch of what is to be done."""
        tenants = list(parts.tenants.all())
        if rotation.is_due(now, every):
            rotation.begin(tenants)
        for tenant in tenants:
            for step in rotation.rewrap(tenant, actor=ACTOR):
                _log.info("keys.rewrapped", tenant=tenant.tenant, left=step.left)
                return step.done
            for count in late.seal(tenant):
                _log.info("values.sealed", tenant=tenant.tenant, count=count)
                return count
            for count in renewal.renew(tenant, made_before=now - every):
                _log.info("keys.resealed", tenant=tenant.tenant, count=count)
                return count
        rotation.let_go(tenants, now=now)
        return 0

    return Sealer(chain=AuditChain(parts.database), checkpoints=checkpoints, rotate=rotate)


def main() -> None:
    """Run the sealer until SIGTERM."""

    def work(parts: StreamParts) -> None:
        sealer = sealer_of(parts.settings, parts)
        Worker("sealer", sealer.step, observe=sealer.observe, data_dir=parts.settings.data_dir).run_until_signalled()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
