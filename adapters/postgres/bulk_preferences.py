"""The same preferences for many recipients: what a job does with each of them.

Recipients are done in the order in which everybody locks several, so no decision and no chunk wait in a circle.
"""

from typing import Any

from sqlalchemy import Connection

from adapters.postgres import allowances, preferences
from adapters.postgres.preferences import NotAllowed, RecipientGone
from domain.events import Identifier
from domain.jobs import ItemResult, ItemVerdict
from domain.preferences import Preference
from domain.tenants import Tenant
from domain.values import Frozen

KIND = "preferences.bulk"


class BulkPayload(Frozen):
    """Which preferences for whom."""

    recipient_ids: tuple[Identifier, ...]
    preferences: tuple[Preference, ...]


def store(connection: Connection, tenant: Tenant, payload: Any, places: range, actor: str) -> list[ItemResult]:
    """Store the preferences for the recipients at these places; each gets all of them or, refused, none."""
    asked = BulkPayload.model_validate(payload)
    in_order = sorted(places, key=lambda place: asked.recipient_ids[place])
    results = [_one(connection, tenant, asked, place, actor) for place in in_order]
    return sorted(results, key=lambda result: result.position)


def _one(connection: Connection, tenant: Tenant, asked: BulkPayload, place: int, actor: str) -> ItemResult:
    recipient_id = allowances.survivor(connection, asked.recipient_ids[place])
    try:
        with connection.begin_nested():
            for preference in asked.preferences:
                preferences.put(connection, tenant, recipient_id, preference, actor=actor)
    except NotAllowed as error:
        detail = {"field": error.findings[0].field, "expected": error.findings[0].expected}
        return ItemResult(position=place, verdict=ItemVerdict.REFUSED, detail=detail)
    except RecipientGone:
        detail = {"field": "recipient_ids", "expected": "a recipient who was not deleted"}
        return ItemResult(position=place, verdict=ItemVerdict.REFUSED, detail=detail)
    return ItemResult(position=place, verdict=ItemVerdict.DONE)
