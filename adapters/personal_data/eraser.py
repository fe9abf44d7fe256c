"""Erases people place by place; a request goes on where it was when the process that did it was killed."""

from collections.abc import Sequence
from pathlib import Path

import structlog
from redis import Redis

from adapters.clock import real_now
from adapters.erasure_ledger import ErasureLedger
from adapters.lake import Lake
from adapters.personal_data.artifact_place import Artifacts
from adapters.personal_data.export_place import ExportFiles
from adapters.personal_data.job_place import OpenJobs
from adapters.personal_data.lake_place import LakeFiles
from adapters.personal_data.online_place import OnlineFeatures
from adapters.personal_data.place_names import tables
from adapters.personal_data.places import NotYet, Person, Place
from adapters.personal_data.postgres_places import ChangeList, DataKey, DeadLetters, EventRows, Outbox, Table
from adapters.personal_data.spool_place import SpoolFiles
from adapters.postgres import erasures
from adapters.postgres.engine import Database
from adapters.postgres.erasures import Erasure, Erasures
from adapters.secrets import SecretBox
from domain.tenants import Tenant

_log = structlog.get_logger(__name__)


def places(lake: Lake, redis: Redis, data_dir: Path, box: SecretBox) -> list[Place]:
    """Return every place, the key first: from then on nothing that is sealed for the person opens."""
    rows: list[Place] = [EventRows() if name == EventRows.name else Table(name) for name in tables()]
    inside: list[Place] = [DataKey(), *rows, Outbox(), ChangeList(), DeadLetters(), OpenJobs(), ExportFiles(data_dir)]
    return [*inside, SpoolFiles(data_dir, box), LakeFiles(lake), Artifacts(data_dir), OnlineFeatures(redis)]


class Eraser:
    """Runs requests to their end."""

    def __init__(self, database: Database, everywhere: Sequence[Place], ledger: ErasureLedger) -> None:
        self._database = database
        self._places = everywhere
        self._ledger = ledger

    def run(self, tenant: Tenant, erasure_id: str) -> Erasure:
        """Erase everywhere and return the receipt; each place commits with the note that it is done.

        It is finished when every place is; one that has to wait leaves it open, and the others are done.

        Raises:
            UnknownErasure: there is no such request.
            Unavailable, OnlineUnavailable: a store is away; what is done stays done, call again.
        """
        for place in self._places:
            try:
                self._step(tenant, erasure_id, place)
            except NotYet as error:
                _log.info("erasure.waiting", tenant=tenant.tenant, erasure=erasure_id, place=place.name, why=str(error))
        with self._database.tenant(tenant.tenant) as connection:
            row = erasures.locked(connection, erasure_id)
            if row is not None and {place.name for place in self._places} <= row.done.keys() | row.keep.keys():
                erasures.finish(connection, tenant, row)
                _log.info("erasure.finished", tenant=tenant.tenant, erasure=erasure_id, places=len(row.done))
        return Erasures(self._database).get(tenant, erasure_id)

    def _step(self, tenant: Tenant, erasure_id: str, place: Place) -> None:
        with self._database.tenant(tenant.tenant) as connection:
            row = erasures.locked(connection, erasure_id)
            if row is None or place.name in row.done or place.name in row.keep:
                return
            # Before anything is erased: a backup restored at any moment from here on is put right.
            self._ledger.add(tenant.tenant, row.subject_key, at=real_now())
            count = place.erase(connection, Person(tenant, row.recipient_id, erasure_id, row.anonymous_id))
            erasures.note(connection, erasure_id, place.name, count)
