"""An audit trail of six linked and signed rows, and somebody with every right on the database who tampers with it."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text

from adapters.audit_verification import verify
from adapters.checkpoints import Checkpoints
from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.audit_chain import AuditChain
from adapters.postgres.engine import Database
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from domain.audit import Finding
from domain.tenants import Tenant

ROWS = 6
EDIT = "UPDATE audit SET actor = 'x' WHERE tenant = :t AND audit_id = :third"
CUT = (
    "DELETE FROM audit WHERE tenant = :t AND audit_id > :fourth",
    "DELETE FROM audit_link WHERE tenant = :t AND sequence > 4",
)
FORGE = """
INSERT INTO audit (tenant, audit_id, action, actor, subject_key, object, recorded_at, context)
OVERRIDING SYSTEM VALUE
SELECT tenant, nextval(pg_get_serial_sequence('audit', 'audit_id')), 'profile.read', 'forged', subject_key, object,
    recorded_at - interval '2 hours', context FROM audit WHERE tenant = :t AND audit_id = :third
"""
REORDER = (
    "UPDATE audit_link SET sequence = -1 WHERE tenant = :t AND sequence = 3",
    "UPDATE audit_link SET sequence = 3 WHERE tenant = :t AND sequence = 4",
    "UPDATE audit_link SET sequence = 4 WHERE tenant = :t AND sequence = -1",
)


@dataclass
class Scene:
    """The trail of one tenant; ``superuser`` passes every policy and grant."""

    db: Database
    superuser: Database
    box: SecretBox
    checkpoints: Checkpoints
    tenant: Tenant

    def begin(self) -> "Scene":
        """Make the rows, link and sign them."""
        self.append(self.tenant, ROWS)
        self.seal(self.tenant)
        assert self.found() is None
        return self

    def append(self, tenant: Tenant, count: int = 1) -> None:
        """Audit something so many times, in one transaction."""
        given = {"action": "profile.read", "actor": "key:1", "object": "profile", "recipient_id": "r"}
        with self.db.tenant(tenant.tenant) as connection:
            entries = [AuditEntry.model_validate(given | {"detail": {"n": number}}) for number in range(count)]
            audit.write(connection, tenant, entries)

    def seal(self, tenant: Tenant, *, is_signed: bool = True) -> None:
        """Link all rows there are, and sign the head."""
        chain = AuditChain(self.db)
        while chain.seal(tenant.tenant):
            continue
        if is_signed:
            assert self.checkpoints.write(tenant.tenant, chain.head(tenant.tenant), at=datetime.now(UTC)) is not None

    def found(self, tenant: Tenant | None = None, *, db: Database | None = None) -> Finding | None:
        """Return what a verification finds first."""
        return verify(AuditChain(db or self.db), self.checkpoints, (tenant or self.tenant).tenant).finding

    def ids(self, tenant: Tenant) -> list[int]:
        """Return the numbers of a tenant's rows."""
        with self.db.tenant(tenant.tenant) as connection:
            return list(connection.execute(text("SELECT audit_id FROM audit ORDER BY audit_id")).scalars())

    def tamper(self, *statements: str, **names: object) -> None:
        """Run statements as a superuser; each changes something."""
        ids = self.ids(self.tenant)
        given = {"t": self.tenant.tenant, "third": ids[2], "fourth": ids[3]} | names
        with self.superuser.begin() as connection:
            for each in statements:
                assert connection.execute(text(each), given).rowcount > 0

    def another(self) -> Tenant:
        """Return a second tenant with three rows, linked and signed."""
        other, _ = Tenants(self.db, self.box).create(f"{self.tenant.tenant}-b", display_name="b")
        self.append(other, 3)
        self.seal(other)
        return other


def edit(scene: Scene) -> None:
    """Change a row."""
    scene.tamper(EDIT)


def delete(scene: Scene) -> None:
    """Delete a row."""
    scene.tamper("DELETE FROM audit WHERE tenant = :t AND audit_id = :third")


def insert(scene: Scene) -> None:
    """Add a row that claims to be old, and let it be linked."""
    scene.tamper(FORGE)
    scene.seal(scene.tenant, is_signed=False)


def reorder(scene: Scene) -> None:
    """Let two links change places."""
    scene.tamper(*REORDER)


def swap_tenants(scene: Scene) -> None:
    """Let a row of ours and one of another tenant change places, with their links."""
    other = scene.another()
    scene.tamper(
        "UPDATE audit SET tenant = :o WHERE tenant = :t AND audit_id = :third",
        "UPDATE audit SET tenant = :t WHERE tenant = :o AND audit_id = :theirs",
        "UPDATE audit_link SET audit_id = :theirs WHERE tenant = :t AND sequence = 3",
        "UPDATE audit_link SET audit_id = :third WHERE tenant = :o AND sequence = 2",
        o=other.tenant,
        theirs=scene.ids(other)[1],
    )
    theirs = scene.found(other)
    assert theirs is not None
    assert (theirs.kind, theirs.sequence) == ("edited", 2)


def cut(scene: Scene) -> None:
    """Cut the tail."""
    scene.tamper(*CUT)


def cut_and_grow(scene: Scene) -> None:
    """Cut the tail and let other rows come in its place."""
    scene.tamper(*CUT)
    scene.append(scene.tenant, 4)
    scene.seal(scene.tenant, is_signed=False)


def rewrite(scene: Scene) -> None:
    """Change a row and link the whole chain anew, so that it holds in itself."""
    scene.tamper(EDIT, "DELETE FROM audit_link WHERE tenant = :t")
    scene.seal(scene.tenant, is_signed=False)


def edit_among_writers(scene: Scene) -> None:
    """Change a row while four write and two link."""
    is_over = threading.Event()

    def write() -> None:
        for _ in range(10):
            scene.append(scene.tenant, 3)

    def link() -> None:
        chain = AuditChain(scene.db)
        while not is_over.is_set():
            chain.seal(scene.tenant.tenant)

    writers = [threading.Thread(target=write) for _ in range(4)]
    linkers = [threading.Thread(target=link) for _ in range(2)]
    for each in (*writers, *linkers):
        each.start()
    try:
        scene.tamper(EDIT)
    finally:
        for each in writers:
            each.join()
        is_over.set()
        for each in linkers:
            each.join()
    scene.seal(scene.tenant)
    assert AuditChain(scene.db).head(scene.tenant.tenant).size == ROWS + 120
