"""A person's rows in the lake, quarantine included: every Parquet file that has them is written anew without them."""

from sqlalchemy import Connection

from adapters.lake import Lake
from adapters.personal_data import parquet_rows
from adapters.personal_data.places import Person

EVENTS = "raw_engagement_events"


class LakeFiles:
    """Every table of the lake that names a recipient or a pseudonym; features, training and hold-out rows are such."""

    name = "lake"

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def erase(self, connection: Connection, person: Person) -> int:  # noqa: ARG002 - the files are not in PostgreSQL
        """Write every file anew that has rows of the person, without them; the others are not touched.

        To be anonymized, events stay under a random id, and what was made of them goes.
        """
        return self.without(person)

    def without(self, person: Person) -> int:
        """Do so, for whoever has no transaction to note it in."""
        total = 0
        for path in self._lake.files():
            is_kept = person.anonymous_id is not None and path.relative_to(self._lake.root).parts[0] == EVENTS
            kept, count = (parquet_rows.anonymous if is_kept else parquet_rows.without)(path, person)
            if kept is not None:
                self._lake.rewrite(path, kept)
            total += count
        return total
