"""A person's rows in the lake, quarantine included: every Parquet file that has them is written anew without them."""

import functools
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection

from adapters.lake import Lake
from adapters.personal_data.places import Person
from domain.identity import subject_key


class LakeFiles:
    """Every table of the lake that names a recipient or a pseudonym; features and training rows are such tables."""

    name = "lake"

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def erase(self, connection: Connection, person: Person) -> int:  # noqa: ARG002 - the files are not in PostgreSQL
        """Write every file anew that has rows of the person; the others are not touched."""
        return sum(self._without(path, person) for path in self._lake.files())

    def _without(self, path: Path, person: Person) -> int:
        names = {
            "recipient_id": person.recipient_id,
            "subject_key": subject_key(person.tenant.subject_secret, person.recipient_id),
        }
        with pq.ParquetFile(path) as file:
            present = [name for name in names if name in file.schema_arrow.names]
            if not present or "tenant" not in file.schema_arrow.names:
                return 0
            rows = file.read(columns=["tenant", *present])
            columns = [pc.equal(rows[name], names[name]) for name in present]
            named = functools.reduce(pc.or_kleene, columns)
            theirs = pc.fill_null(
                pc.and_kleene(pc.equal(rows["tenant"], person.tenant.tenant), named), pa.scalar(value=False)
            )
            count = int(pc.sum(theirs).as_py() or 0)
            if count:
                kept = file.read().filter(pc.invert(theirs))
        if count:
            self._lake.rewrite(path, kept)
        return count
