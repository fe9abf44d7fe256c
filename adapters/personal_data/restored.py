"""Puts a restored backup right: it holds people who were erased after it was made."""

from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, select, union

from adapters.erasure_ledger import ErasureLedger
from adapters.postgres import erasures
from adapters.postgres.engine import Database
from adapters.postgres.erasures import Erasures
from adapters.postgres.schema import metadata
from domain.identity import subject_key
from domain.tenants import Tenant


def reapply(database: Database, tenant: Tenant, ledger: ErasureLedger, *, now: datetime) -> list[str]:
    """Ask again for the erasures a restored backup does not know; returns their ids. Suppressed when this returns."""
    wanted = ledger.subjects(tenant.tenant)
    if not wanted:
        return []
    with database.tenant(tenant.tenant) as connection:
        wanted -= erasures.subjects(connection)
        found = set(connection.execute(_recipients()).scalars()) if wanted else set()
    back = sorted(each for each in found if subject_key(tenant.subject_secret, each) in wanted)
    asked = Erasures(database)
    return [asked.request(tenant, each, actor="ledger", now=now).erasure_id for each in back]


def _recipients() -> CompoundSelect[Any]:
    """Select everybody a table names."""
    named = [table for table in metadata.sorted_tables if "recipient_id" in table.c and table.name not in _NO_DATA]
    return union(*(select(table.c.recipient_id) for table in named))


_NO_DATA = {"erasure", "data_export", "recipient_change"}
"""Tables that name a recipient for as long as something is done for them."""
