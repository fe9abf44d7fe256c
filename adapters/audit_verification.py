"""Verifies a tenant's audit trail: its chain against its rows, and both against the signed checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.checkpoints import BadCheckpoint, Checkpoint, Checkpoints
from adapters.postgres.audit_chain import AuditChain
from domain.audit import ChainReader, Finding, Head, Tampering, genesis


@dataclass(frozen=True)
class Verdict:
    """What a verification found.

    ``checked`` rows hold; ``unsealed`` have no link yet, the oldest since ``unsealed_since``. ``signed`` is the size
    of the newest checkpoint.
    """

    tenant: str
    finding: Finding | None
    checked: int
    unsealed: int
    unsealed_since: datetime | None
    signed: int

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return self.finding is None


def verify(chain: AuditChain, checkpoints: Checkpoints, tenant: str, *, since: datetime | None = None) -> Verdict:
    """Read a tenant's trail and compare everything.

    Args:
        chain: where the trail is.
        checkpoints: what was signed.
        tenant: whose trail.
        since: trust what was signed before this moment, and begin there; None begins with the first row.
    """
    try:
        signed: Sequence[Checkpoint] = checkpoints.read(tenant)
    except BadCheckpoint:
        return Verdict(tenant, Finding(Tampering.FORGED, None, None), 0, 0, None, 0)
    start = _start(tenant, signed, since)
    reader = ChainReader(start, {each.head.size: each.head.link for each in signed})
    finding = reader.read(chain.links(tenant, after=start.size))
    tail = chain.unlinked(tenant)
    oldest = tail.oldest[0] if tail.oldest else None
    newest = signed[-1].head.size if signed else 0
    if finding is None and newest > reader.head.size:
        finding = Finding(Tampering.CUT, reader.head.size + 1, None)
    if finding is None and oldest is not None and reader.is_too_late(oldest[1]):
        finding = Finding(Tampering.INSERTED, None, oldest[0])
    since_when = oldest[1] if oldest else None
    return Verdict(tenant, finding, reader.head.size - start.size, tail.count, since_when, newest)


def _start(tenant: str, signed: Sequence[Checkpoint], since: datetime | None) -> Head:
    before = [each.head for each in signed if since is not None and each.at <= since]
    return before[-1] if before else genesis(tenant)
