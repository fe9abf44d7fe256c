"""Ten kinds of tampering with the audit trail: each is found, and the first place that does not hold is named."""

import secrets
import subprocess
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from adapters.checkpoints import Checkpoints
from adapters.embedded import place
from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.keyring import Keyring
from adapters.postgres.audit_chain import AuditChain
from adapters.postgres.engine import Database
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.settings import Settings
from domain.audit import Tampering
from tests import audit_scene
from tests.api import KEYS
from tests.audit_scene import ROWS, Scene

KINDS = {
    "edit": (audit_scene.edit, Tampering.EDITED, 3),
    "delete": (audit_scene.delete, Tampering.DELETED, 3),
    "insert": (audit_scene.insert, Tampering.INSERTED, ROWS + 1),
    "reorder": (audit_scene.reorder, Tampering.RELINKED, 3),
    "swap of two tenants": (audit_scene.swap_tenants, Tampering.EDITED, 3),
    "cut of the tail": (audit_scene.cut, Tampering.CUT, 5),
    "cut of the tail that grew again": (audit_scene.cut_and_grow, Tampering.REWRITTEN, ROWS),
    "rewriting of the whole chain": (audit_scene.rewrite, Tampering.REWRITTEN, ROWS),
    "edit among concurrent writers": (audit_scene.edit_among_writers, Tampering.EDITED, 3),
    "power cut": (None, Tampering.CUT, ROWS + 1),
}


@pytest.fixture
def scene(db, databases, box, tenant, tmp_path):
    url = databases.server.set(database=databases.database).render_as_string(hide_password=False)
    superuser = Database(url, keyring=Keyring.given(KEYS))
    yield Scene(db, superuser, box, Checkpoints.of(Settings(data_dir=tmp_path), box), tenant).begin()
    superuser.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_tampering_is_found_and_its_first_place_is_named(kind, request):
    tampering, expected, sequence = KINDS[kind]
    if tampering is None:
        found = request.getfixturevalue("recovered")
    else:
        scene = request.getfixturevalue("scene")
        tampering(scene)
        found = scene.found()
    assert (found.kind, found.sequence) == (expected, sequence)
    assert found.sentence


@contextmanager
def held(server: EmbeddedPostgres):
    """Stop every process of a server where it stands, as the cut of the power does, and let it go on afterwards."""
    postmaster = psutil.Process(server.pid)
    postmaster.suspend()
    backends = postmaster.children(recursive=True)
    try:
        for each in backends:
            each.suspend()
        yield
    finally:
        for each in (*backends, postmaster):
            each.resume()


@pytest.fixture
def recovered(box, tmp_path):
    """What is found on a server that recovered from a copy of a running one, which has gone on and signed since.

    What was acknowledged before the copy is there and holds.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kairos-")))
        home.chmod(0o755)
        here, there = home / "here", home / "there"
        stack.callback(lambda: [place.remove(each) for each in (here, there)])
        server = stack.enter_context(start_postgres(here, log=tmp_path / "here.log"))
        urls = DatabaseUrls.embedded(server.admin_url, box)
        prepare(server.admin_url, urls)
        db = Database(urls.app, keyring=Keyring.given(KEYS))
        stack.callback(db.close)
        tenant, _ = Tenants(db, box).create(f"t{secrets.token_hex(6)}", display_name="t")
        scene = Scene(db, db, box, Checkpoints.of(Settings(data_dir=tmp_path), box), tenant).begin()
        acknowledged = copied_while_writing(scene, server, here, there)
        copy = stack.enter_context(start_postgres(there, log=tmp_path / "there.log"))
        again = Database(DatabaseUrls.embedded(copy.admin_url, box).app, keyring=Keyring.given(KEYS))
        stack.callback(again.close)
        assert scene.found(db=again) is None
        assert AuditChain(again).unlinked(tenant.tenant).count >= acknowledged - ROWS
        scene.seal(tenant)
        yield scene.found(db=again)


def copied_while_writing(scene: Scene, server: EmbeddedPostgres, here: Path, there: Path) -> int:
    """Copy a server's data while two write to it; returns how many rows had been acknowledged by then."""
    is_over, begun = threading.Event(), threading.Semaphore(0)

    def write() -> None:
        while not is_over.is_set():
            scene.append(scene.tenant)
            begun.release()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for each in writers:
        each.start()
    try:
        for _ in range(20):
            assert begun.acquire(timeout=30)
        there.mkdir(mode=0o711)
        with held(server):
            acknowledged = ROWS + 20
            source, target = (place.find(each).cluster for each in (here, there))
            subprocess.run(["cp", "-a", source, target], check=True)
    finally:
        is_over.set()
        for each in writers:
            each.join()
    return acknowledged
