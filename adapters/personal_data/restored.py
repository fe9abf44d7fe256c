"""Puts a restored backup right: it holds people who were erased after it was made."""

from datetime import datetime

from sqlalchemy import text

from adapters.erasure_ledger import ErasureLedger
from adapters.postgres import erasures
from adapters.postgres.engine import Database
from adapters.postgres.erasures import Erasures
from domain.identity import subject_key
from domain.tenants import Tenant


def reapply(database: Database, tenant: Tenant, ledger: ErasureLedger, *, now: datetime) -> list[str]:
    """Ask again for the erasures a restored backup does not know; returns their ids. Suppressed when this returns."""
    wanted = ledger.subjects(tenant.tenant)
    if not wanted:
        return []
    with database.tenant(tenant.tenant) as connection:
        wanted -= erasures.subjects(connection)
        found = set(connection.execute(_RECIPIENTS).scalars()) if wanted else set()
    back = sorted(each for each in found if subject_key(tenant.subject_secret, each) in wanted)
    asked = Erasures(database)
    return [asked.request(tenant, each, actor="ledger", now=now).erasure_id for each in back]


_RECIPIENTS = text("""
SELECT recipient_id FROM profile UNION SELECT recipient_id FROM consent_head
UNION SELECT recipient_id FROM event UNION SELECT recipient_id FROM consent_record
""")
