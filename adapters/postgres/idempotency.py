"""Answers kept by idempotency key, in the transaction of what the request did.

Whoever is first holds a lock until its transaction ends; effects and answer then stand together, or neither does. A
service that dies between commit and response has the answer; one that dies before has done nothing.
"""

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.engine import Database
from adapters.postgres.idempotency_tables import idempotency_record
from adapters.secrets import SecretBox

LEAST_AGE = timedelta(hours=24)
"""How long an answer is kept at least; later requests of the tenant remove it."""
_PRUNED_AT_A_TIME = 100


class InFlight(RuntimeError):
    """A request with this key is being done right now."""


class KeyOfAnother(RuntimeError):
    """The key stands for a request that was not this one."""


_Row = dict[str, str | bytes | None]


@dataclass(frozen=True)
class KeptAnswer:
    """What was answered: status, the headers that belong to the body, and the body's bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Request:
    """Which request: ``(tenant, principal, route, key)`` names it, the content must be the same each time."""

    tenant: str
    principal: str
    route: str
    key: str
    content: bytes = field(repr=False)
    subject_key: str | None = None
    """Whose data the answer may hold: with them it is erased."""


class Claim:
    """A request that is being done; nobody else does it meanwhile."""

    def __init__(self, connection: Connection, row: _Row, box: SecretBox, name: str) -> None:
        self._connection = connection
        self._row = row
        self._box = box
        self._name = name
        self.kept: KeptAnswer | None = None

    @contextmanager
    def effects(self) -> Iterator[None]:
        """Undo what was done in this block when it ends with an exception; the claim stays."""
        with self._connection.begin_nested():
            yield

    def keep(self, answer: KeptAnswer) -> None:
        """Keep the answer; it stands when the claim's block ends well."""
        plain = json.dumps([dict(answer.headers), base64.b64encode(answer.body).decode()]).encode()
        values = {"status": answer.status, "answer": self._box.seal(self._name, plain)}
        statement = insert(idempotency_record).values(self._row | values | {"recorded_at": func.clock_timestamp()})
        changed = {name: statement.excluded[name] for name in ("fingerprint", "status", "answer", "recorded_at")}
        keys = ["tenant", "principal", "route", "key_digest"]
        self._connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))
        self._connection.execute(_PRUNE, {"age": LEAST_AGE, "most": _PRUNED_AT_A_TIME})


class IdempotencyRecords:
    """Claims requests by their key, and finds what they were answered."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._pepper = box.key("idempotency")

    @contextmanager
    def claim(self, request: Request) -> Iterator[Claim]:
        """Open the one transaction that request and answer share; every store's own joins it.

        Raises:
            InFlight: another transaction has the same request open.
            KeyOfAnother: the key was used with other content in the last 24 hours.
            Unavailable: PostgreSQL could not commit; neither effects nor answer stand.
        """
        row: _Row = {
            "tenant": request.tenant,
            "principal": request.principal,
            "route": request.route,
            "key_digest": self._digest(request.key.encode()),
            "fingerprint": self._digest(request.content),
            "subject_key": request.subject_key,
        }
        name = self._name(request)
        with self._database.joined(request.tenant) as connection:
            if not connection.execute(_LOCK, {"name": self._lock(name)}).scalar_one():
                raise InFlight("the same request is being done")
            claim = Claim(connection, row, self._box, name)
            claim.kept = self._kept(connection, row, name)
            yield claim

    def _kept(self, connection: Connection, row: _Row, name: str) -> KeptAnswer | None:
        table = idempotency_record.c
        wanted = select(table.fingerprint, table.status, table.answer).where(
            *(table[key] == row[key] for key in ("tenant", "principal", "route", "key_digest")),
            table.recorded_at > func.clock_timestamp() - LEAST_AGE,
        )
        found = connection.execute(wanted).one_or_none()
        if found is None:
            return None
        if not hmac.compare_digest(bytes(found.fingerprint), bytes(row["fingerprint"])):  # type: ignore[arg-type]
            raise KeyOfAnother("the key stands for another request")
        headers, body = json.loads(self._box.unseal(name, bytes(found.answer)))
        return KeptAnswer(found.status, headers, base64.b64decode(body))

    def _name(self, request: Request) -> str:
        parts = (request.tenant, request.principal, request.route, self._digest(request.key.encode()).hex())
        return f"idempotency:{json.dumps(parts)}"

    def _lock(self, name: str) -> int:
        return int.from_bytes(self._digest(name.encode())[:8], signed=True)

    def _digest(self, plain: bytes) -> bytes:
        return hmac.new(self._pepper, plain, sha256).digest()


_LOCK = text("SELECT pg_try_advisory_xact_lock(:name)")
_PRUNE = text("""
DELETE FROM idempotency_record WHERE (tenant, principal, route, key_digest) IN (
    SELECT tenant, principal, route, key_digest FROM idempotency_record
    WHERE recorded_at < clock_timestamp() - CAST(:age AS interval) ORDER BY recorded_at LIMIT :most
    FOR UPDATE SKIP LOCKED)
""")
