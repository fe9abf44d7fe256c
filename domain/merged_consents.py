"""Consents of two ids that turn out to be one person: whatever either refused stays refused.

What one of them never spoke of, the other's word decides. Where a denial of one meets a grant of the other, the denial
is dated to the merge: no grant from before, however late it arrives, lifts it, only a fresh yes does.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from domain.consent import ChannelScope, ConsentState, ConsentStatus, successor
from domain.values import ANY_CHANNEL, Purpose


def merged(ours: Sequence[ConsentState], theirs: Sequence[ConsentState], *, now: datetime) -> tuple[ConsentState, ...]:
    """Return where the consents of one person stand after two ids of theirs were merged.

    For every purpose, channel and later moment: refused by a denial or an expiry under either id, refused now.

    Args:
        ours: one per purpose and scope, of the id that stays.
        theirs: of the other id.
        now: the moment of the merge.
    """
    scopes = {(each.purpose, each.channel) for each in (*ours, *theirs)}
    found = (
        _stricter(_standing(ours, purpose, channel), _standing(theirs, purpose, channel), (purpose, channel), now)
        for purpose, channel in sorted(scopes)
    )
    return tuple(each for each in found if each is not None)


def _standing(states: Iterable[ConsentState], purpose: Purpose, channel: ChannelScope) -> ConsentState | None:
    """Return the state that decides about a channel under one id, as ``domain.consent.refusal`` would find it."""
    by_scope = {state.channel: state for state in states if state.purpose is purpose}
    general, specific = by_scope.get(ANY_CHANNEL), by_scope.get(channel)
    if general is None or specific is None or channel == ANY_CHANNEL or specific.status.is_denial:
        return specific or general
    if general.status.is_denial:
        lifts = specific.status is ConsentStatus.GIVEN and specific.effective_at > general.effective_at
        return specific if lifts else general
    return successor(general, specific)


def _stricter(
    one: ConsentState | None, other: ConsentState | None, scope: tuple[Purpose, ChannelScope], now: datetime
) -> ConsentState | None:
    said = [each for each in (one, other) if each is not None]
    answered = [each for each in said if each.status is not ConsentStatus.REQUESTED]
    denials = [each for each in answered if each.status.is_denial]
    found = max(denials or answered or said, key=lambda each: each.effective_at, default=None)
    if found is None:
        return None
    fields: dict[str, Any] = {"purpose": scope[0], "channel": scope[1]}
    if denials and len(denials) < len(answered):
        fields["effective_at"] = max(now, *(each.effective_at for each in answered))
    elif not denials and len(answered) > 1:
        fields |= _shorter(answered, now)
    return found.model_copy(update=fields)


def _shorter(grants: Sequence[ConsentState], now: datetime) -> dict[str, Any]:
    """Return from when until when both grants hold; two that never do together count as expired."""
    begins = max(each.effective_at for each in grants)
    ends = min((each.expires_at for each in grants if each.expires_at is not None), default=None)
    if ends is not None and ends <= begins:
        return {"status": ConsentStatus.EXPIRED, "effective_at": max(now, begins), "expires_at": None}
    return {"effective_at": begins, "expires_at": ends}
