"""What is left to do after a decision: to send what was deferred, or to go on to the next channel."""

from domain import timing
from domain.decisioning import Draft
from domain.gates import contact_of, is_permitted
from domain.handover import LIFE, FollowUp, Kind
from domain.policy import Action
from domain.values import Channel, Outcome, Reason


def follow_up(draft: Draft) -> FollowUp | None:
    """Return what is left to do after a decision, or None when it is done."""
    if draft.outcome is Outcome.DEFER:
        return _deferral(draft)
    return _escalation(draft) if draft.outcome is Outcome.SEND_NOW else None


def _deferral(draft: Draft) -> FollowUp | None:
    due_at = draft.send_at
    if due_at is None:
        return None
    if draft.reason is Reason.POLICY_DIGEST:
        # It reserves nothing: of everything in a digest one contact is made.
        return FollowUp(kind=Kind.DIGEST, due_at=due_at, expires_at=timing.deadline(draft.request) or due_at + LIFE)
    action = draft.action
    channel = action.channel or _likeliest(draft)
    settled = Action(channel=action.channel, variant_id=action.variant_id) if action.is_send else None
    contact = contact_of(draft.request, draft.situation, channel) if channel is not None else None
    return FollowUp(
        kind=draft.follows.kind if draft.follows is not None else Kind.DEFERRAL,
        due_at=due_at,
        expires_at=timing.deadline(draft.request) or due_at + LIFE,
        settled=settled,
        reserved=contact.model_copy(update={"at": due_at}) if contact is not None else None,
    )


def _likeliest(draft: Draft) -> Channel | None:
    """Return the first channel that may be used when the message is due, as far as is known."""
    request, situation, due_at = draft.request, draft.situation, draft.send_at
    channels = [each.channel for each in draft.screened.refusals if each.reason.is_temporary]
    return next((each for each in channels if due_at and is_permitted(request, situation, each, at=due_at)), None)


def _escalation(draft: Draft) -> FollowUp | None:
    must = draft.situation.definition.must_reach
    if must is None:
        return None
    asked = draft.request.channels
    left = tuple(each for each in must.channels if asked is None or each in asked)
    remaining = tuple(each for each in left if each is not draft.action.channel)
    if not remaining:
        return None
    sends = 1 + (draft.follows.sends if draft.follows is not None else 0)
    due_at = draft.situation.now + must.wait(sends)
    return FollowUp(
        kind=Kind.ESCALATION,
        due_at=due_at,
        expires_at=timing.deadline(draft.request) or due_at + LIFE,
        remaining=remaining,
        until=must.until,
        sends=sends,
    )
