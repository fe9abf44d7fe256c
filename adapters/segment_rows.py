"""The newest segment of recipients, from the lake, where it is written every night."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from adapters.lake import Lake, NoSuchTable

TABLE = "out_segment_membership"


@dataclass(frozen=True)
class SegmentRows:
    """Reads the segment table; before the first night nobody has a row."""

    lake: Lake

    def read(self, tenant: str, recipient_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the row of each recipient of a tenant that has one, by recipient."""
        try:
            rows = self.lake.read(TABLE)
        except NoSuchTable:
            return {}
        wanted = pc.and_(
            pc.equal(rows["tenant"], tenant), pc.is_in(rows["recipient_id"], pa.array(list(recipient_ids), pa.string()))
        )
        return {row["recipient_id"]: row for row in rows.filter(wanted).to_pylist()}
