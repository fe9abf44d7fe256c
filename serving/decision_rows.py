"""A finished decision as a row: what is stored, and what the next decision about the same recipient must know."""

from adapters.postgres.decision_rows import Row
from domain.contact_budget import Contact
from domain.decision_record import Evidence, answer, record
from domain.decisioning import Draft
from domain.follow_ups import follow_up
from domain.gates import contact_of
from domain.preference_gate import LastSent
from domain.tenants import Tenant
from domain.values import Outcome


def row_of(tenant: Tenant, draft: Draft, evidence: Evidence) -> Row:
    """Return a finished decision as it is stored."""
    return Row(
        decision_id=draft.decision_id,
        recipient_id=draft.request.recipient_id,
        subject_key=evidence.subject_key,
        fingerprint=draft.request.fingerprint(tenant.subject_secret),
        decided_at=draft.situation.now,
        outcome=draft.outcome.value,
        message_type=draft.request.message.type,
        campaign_id=draft.request.campaign_id,
        reason=draft.reason.value,
        action_probability=draft.probability,
        consent_version=draft.situation.allowances.version,
        category=draft.situation.definition.category,
        sent=_sent(draft),
        contact=_contact(draft),
        follow_up=follow_up(draft),
        follows=draft.follows,
        record=record(draft, evidence),
        answer=answer(draft, evidence).model_dump(mode="json") | {"content": None},
    )


def _sent(draft: Draft) -> LastSent | None:
    """Return what is sent, for the next decision about the same recipient."""
    channel, definition = draft.action.channel, draft.situation.definition
    if draft.outcome is not Outcome.SEND_NOW or channel is None:
        return None
    return LastSent(channel=channel, category=definition.category, content_type=definition.type, at=draft.situation.now)


def _contact(draft: Draft) -> Contact | None:
    channel = draft.action.channel
    if draft.outcome is not Outcome.SEND_NOW or channel is None:
        return None
    return contact_of(draft.request, draft.situation, channel)
