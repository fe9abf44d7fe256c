"""Leaves messages for hooks, in the very transaction that commits what they tell of."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from domain.changes import ChangeKind
from domain.webhooks import OF_CHANGE


def of_changes(connection: Connection, changes: Iterable[Mapping[str, Any]]) -> None:
    """Leave one message for every hook that is told of each of these numbered changes."""
    told = [
        {
            "event": OF_CHANGE[ChangeKind(each["kind"])].value,
            "recipient_id": each["recipient_id"],
            "data": {
                "change_id": each["change_id"],
                "recipient_id": each["recipient_id"],
                "version": each["version"],
                "recorded_at": each["recorded_at"].isoformat(),
            },
        }
        for each in changes
    ]
    connection.execute(_LEAVE, {"told": json.dumps(told, allow_nan=False)})


_LEAVE = text("""
INSERT INTO hook_delivery (tenant, delivery_id, hook_id, event, recipient_id, data)
SELECT h.tenant, 'msg_' || replace(CAST(gen_random_uuid() AS text), '-', ''), h.hook_id, t.event, t.recipient_id, t.data
FROM json_to_recordset(:told) AS t (event text, recipient_id text, data jsonb)
JOIN hook h ON h.is_enabled AND jsonb_exists(h.events, t.event)
""")
