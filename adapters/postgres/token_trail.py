"""What the audit trail says of bearer tokens: each token's first use, and refusals in the name of a known issuer.

First is first in this process: a restart writes the row again, and none is ever missing.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from domain.tokens import TokenBearer, TokenIssuer, TokenRefusal

REFUSALS_APART = timedelta(minutes=1)
_MOST_REMEMBERED = 10_000


class TokenTrail:
    """Writes the rows; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._refused: dict[str, datetime] = {}

    def note_use(self, token: str, bearer: TokenBearer, *, actor: str, subject: str | None) -> None:
        """Say that a token is used, unless that was said; the request is not served when it cannot be said.

        Args:
            token: as it was sent; only a hash of it is remembered.
            bearer: whom it stands for.
            actor: their name in the trail.
            subject: the pseudonym of a recipient, None for others.
        """
        digest = hashlib.sha256(token.encode()).digest()
        with self._lock:
            if digest in self._seen:
                return
        roles = [role.value for role in bearer.roles]
        entry = AuditEntry(
            action="token.used",
            actor=actor,
            object=f"issuer:{bearer.issuer}",
            subject_key=subject,
            detail={"roles": roles},
        )
        with self._database.tenant(bearer.tenant) as connection:
            audit.note(connection, bearer.tenant, entry)
        with self._lock:
            self._seen[digest] = None
            while len(self._seen) > _MOST_REMEMBERED:
                self._seen.popitem(last=False)

    def note_refusal(self, issuer: TokenIssuer, refusal: TokenRefusal, *, now: datetime) -> None:
        """Say that a token in an issuer's name was refused, at most once a minute: the trail is not theirs to fill."""
        with self._lock:
            last = self._refused.get(issuer.name)
            if last is not None and last <= now < last + REFUSALS_APART:
                return
            self._refused[issuer.name] = now
        entry = AuditEntry(
            action="token.refused", actor="unknown", object=f"issuer:{issuer.name}", reason=refusal.value
        )
        with self._database.tenant(issuer.tenant) as connection:
            audit.note(connection, issuer.tenant, entry)
