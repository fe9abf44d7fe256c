"""Every version of a profile, kept in the transaction that writes it, forgotten with the profile.

A version keeps the sealed bytes the profile had: they are bound to the profile, the recipient and the version.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from adapters.postgres.profile_tables import profile_version

_COLUMNS = frozenset(profile_version.c.keys())


def keep(connection: Connection, versions: Sequence[Mapping[str, Any]]) -> None:
    """Keep versions: the columns of the table by name, other names are passed over."""
    rows = [{name: value for name, value in each.items() if name in _COLUMNS} for each in versions]
    if rows:
        connection.execute(insert(profile_version), rows)


def read(connection: Connection, recipient_id: str, *, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Return up to ``limit`` versions of a recipient older than ``before``, newest first."""
    query = select(profile_version).where(profile_version.c.recipient_id == recipient_id)
    if before is not None:
        query = query.where(profile_version.c.version < before)
    return connection.execute(query.order_by(profile_version.c.version.desc()).limit(limit)).all()


def forget(connection: Connection, recipient_ids: Sequence[str]) -> None:
    """Forget every version of some recipients."""
    connection.execute(delete(profile_version).where(profile_version.c.recipient_id.in_(list(recipient_ids))))
