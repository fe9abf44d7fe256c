"""Groups of recipients by what tenants declare about them: attributes of a few values, country and language.

Profiles are sealed, so this reads as the application does. A group's value goes no further than a count of at least
200 rows; free text and numbers are no groups.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import pandas as pd

from adapters.postgres import attribute_schemas, profiles
from adapters.postgres.engine import Database
from adapters.postgres.tenants import Tenants
from domain.profiles import Profile
from domain.tenants import Tenant

_AT_ONCE = 1_000
ALWAYS = ("country", "language")


class ProfileGroups:
    """Reads which groups recipients are in."""

    def __init__(self, database: Database, tenants: Tenants) -> None:
        self._database = database
        self._tenants = tenants

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return one column for each attribute and one row for each given row; empty where nothing is known.

        Args:
            rows: ``tenant`` and ``recipient_id``.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        known: dict[tuple[str, str], dict[str, str]] = {}
        for tenant in self._tenants.all():
            mine = rows.loc[rows["tenant"] == tenant.tenant, "recipient_id"]
            known |= {(tenant.tenant, who): found for who, found in self._of_tenant(tenant, mine.unique().tolist())}
        keys = zip(rows["tenant"], rows["recipient_id"], strict=True)
        made = pd.DataFrame([known.get(key, {}) for key in keys], index=rows.index, dtype="object")
        return made.reindex(columns=sorted(made.columns)).fillna("").astype(str)

    def _of_tenant(self, tenant: Tenant, recipient_ids: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
        wanted = iter(recipient_ids)
        while some := list(islice(wanted, _AT_ONCE)):
            with self._database.tenant(tenant.tenant) as connection:
                rules = attribute_schemas.KIND.read(connection).document.properties
                named = [name for name, rule in rules.items() if rule.enum is not None or rule.type == "boolean"]
                found = profiles.read(connection, tenant, some)
            yield from ((who, _values(stored.profile, named)) for who, stored in found.items())


def _values(profile: Profile, named: Sequence[str]) -> dict[str, str]:
    given: Mapping[str, object] = {
        "country": profile.country,
        "language": profile.language or (profile.locale or "").split("-")[0] or None,
        **{f"attribute.{name}": profile.attributes.get(name) for name in named},
    }
    return {name: str(value) for name, value in given.items() if value is not None}
