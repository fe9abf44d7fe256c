"""Digests handed over: everything in one is decided about at once, by the same gates, and goes as one message.

What a message of a digest lost in the meantime, its time or its permission, is told of each by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from adapters.handover_tokens import HandoverTokens
from adapters.postgres.digest_queue import Digests as DigestQueue
from adapters.postgres.engine import Unavailable
from adapters.postgres.follow_up_queue import FollowUps, Waiting
from adapters.postgres.follow_ups import Settled
from domain import decisioning, digests, identity
from domain.decision_request import DecisionRequest
from domain.expected import Expected
from domain.gates import screen
from domain.handover import Followed, Follows, Kind, State, Verdict
from domain.message_types import Digest, MessageType, check_variables
from domain.stages import Asked
from domain.tenants import Tenant
from domain.values import Reason
from serving import handover_metrics
from serving.asks import Ask
from serving.decide import Decider, new_id
from serving.decision_answers import KeyReused
from serving.handovers import (
    TRIES,
    VERDICTS,
    HandedOver,
    NothingLeft,
    OtherVariables,
    request_of,
    without_variables,
)

log = structlog.get_logger("kairos.digests")
Variables = Mapping[str, Mapping[str, Any]]
"""Those of each message, by the id of its decision."""


@dataclass(frozen=True)
class Dropped:
    """A message that is in the digest no more, and why."""

    decision_id: str
    reason: Reason


@dataclass(frozen=True)
class HandedDigest:
    """What the hand-over of a digest came to, which messages are in it, and which are not any more."""

    handed: HandedOver
    decision_ids: tuple[str, ...]
    dropped: tuple[Dropped, ...]


class Digests:
    """Hands over what was put together."""

    def __init__(self, decider: Decider, queue: DigestQueue, follow_ups: FollowUps, tokens: HandoverTokens) -> None:
        self.tokens = tokens
        self.queue = queue
        self._follow_ups = follow_ups
        self._decider = decider

    def hand_over(
        self, tenant: Tenant, digest_id: str, variables: Variables, *, key: str | None, now: datetime, actor: str
    ) -> HandedDigest:
        """Decide about everything in a digest at once, and commit what comes out.

        Args:
            tenant: whose digest.
            digest_id: as it was told when it came due.
            variables: of each message in it, the same as at its decision; those of one that was dropped are ignored.
            key: under the same one, a hand-over that went is answered again.
            now: the tenant's clock.
            actor: who asks.

        Raises:
            NothingLeft: there is no such digest.
            OtherVariables: those of a message are missing or differ, or are of one that is not in the digest.
            BadVariables: those of a message do not fit the type as it is now.
            CannotRender: the digest's template cannot be filled with them.
            Unavailable: PostgreSQL is away, or others were faster again and again; nothing was decided.
        """
        for _ in range(TRIES):
            items = self.queue.get(tenant, digest_id)
            if not items:
                raise NothingLeft("there is no such digest")
            if unknown := sorted(variables.keys() - {each.decision_id for each in items}):
                raise OtherVariables(f"the digest holds no decision {unknown[0]}")
            try:
                told = self._handed(tenant, digest_id, items, variables, key, now, actor)
            except Settled:
                continue
            _tell(tenant, digest_id, told)
            return told
        raise Unavailable("others were faster with this hand-over")

    def _handed(
        self,
        tenant: Tenant,
        digest_id: str,
        items: Sequence[Waiting],
        variables: Variables,
        key: str | None,
        now: datetime,
        actor: str,
    ) -> HandedDigest:
        wanted = _id(tenant, digest_id, items, key) if key is not None else new_id()
        chosen = [each for each in items if each.settled_as == wanted]
        if not chosen:
            self._stop(tenant, _expired(items, now), Reason.EXPIRY_PASSED, actor, now)
            chosen = [each for each in items if each.state is State.WAITING and each.expires_at > now]
            if (found := _plain(digest_id, items, chosen, now)) is not None:
                return self._told(tenant, digest_id, found, chosen)
        definition = self.definition(tenant, chosen[-1], now=now)
        if definition.digest is None:
            self._stop(tenant, chosen, Reason.HANDOVER_WITHDRAWN, actor, now)
            return self._told(tenant, digest_id, HandedOver(Verdict.STOP, Reason.HANDOVER_WITHDRAWN, digest_id), ())
        request = self._together(tenant, chosen, definition, variables)
        ask = Ask(wanted, request, may_repeat=True, follows=follows(chosen))
        return self._told(tenant, digest_id, self._decided(tenant, digest_id, ask, now, actor), chosen)

    def _told(self, tenant: Tenant, digest_id: str, handed: HandedOver, chosen: Sequence[Waiting]) -> HandedDigest:
        inside = tuple(each.decision_id for each in chosen) if handed.verdict is not Verdict.STOP else ()
        stopped = [each for each in self.queue.get(tenant, digest_id) if each.state is State.STOPPED]
        dropped = tuple(Dropped(each.decision_id, each.reason) for each in stopped if each.reason is not None)
        return HandedDigest(handed, inside, dropped)

    def _decided(self, tenant: Tenant, digest_id: str, ask: Ask, now: datetime, actor: str) -> HandedOver:
        ask = self._decider.standing(tenant, ask)
        try:
            (recorded,) = self._decider.decide(tenant, [ask], now=now, actor=actor)
        except KeyReused:
            raise OtherVariables("the variables are not those that the hand-over was asked with") from None
        answer = recorded.answer
        verdict = VERDICTS[answer["outcome"]]
        opens_at = datetime.fromisoformat(answer["send_at"]) if verdict is Verdict.WAIT else None
        told = digest_id if verdict is Verdict.WAIT else ask.decision_id
        return HandedOver(verdict, Reason(answer["reason"]), told, opens_at, answer)

    def _together(
        self, tenant: Tenant, items: Sequence[Waiting], definition: MessageType, variables: Variables
    ) -> DecisionRequest:
        asked = []
        for each in items:
            if each.decision_id not in variables:
                raise OtherVariables(f"the variables of decision {each.decision_id} are missing")
            request = request_of(tenant, each, variables[each.decision_id])
            check_variables(definition, dict(request.message.variables))
            asked.append(request)
        return digests.together(asked, definition)

    def _stop(self, tenant: Tenant, items: Sequence[Waiting], reason: Reason, actor: str, now: datetime) -> None:
        for each in items:
            if not self._follow_ups.stop(tenant, each, reason, actor=actor, now=now):
                raise Settled("somebody else was faster")

    def definition(self, tenant: Tenant, item: Waiting, *, now: datetime) -> MessageType:
        """Return the type of a message as it is published now."""
        request = without_variables(item)
        return self._decider.situation(tenant, Ask(item.decision_id, request), now=now).definition

    def check(self, tenant: Tenant, items: Sequence[Waiting], definition: MessageType, *, now: datetime) -> HandedOver:
        """Return what the hand-over of a digest would come to now, as far as can be told without making it."""
        request = digests.together([without_variables(each) for each in items], definition)
        ask = Ask(items[0].decision_id, request, follows=follows(items))
        situation = self._decider.situation(tenant, ask, now=now)
        screened = screen(request, situation)
        settled = items[0].follows.settled
        if screened.permitted if settled is None else settled.channel in screened.permitted:
            return HandedOver(Verdict.GO, Reason.POLICY_DIGEST, ask.decision_id)
        settings = self._decider.policy_settings
        asked = Asked(
            ask.decision_id,
            request,
            situation,
            Expected(),
            is_holdout=False,
            settings=settings,
            follows=ask.follows,
        )
        draft = decisioning.decide(asked, screened)
        return HandedOver(VERDICTS[draft.outcome.value], draft.reason, ask.decision_id, draft.send_at)


def follows(items: Sequence[Waiting]) -> Follows:
    """Return what a digest of messages goes on with."""
    first = items[0].follows
    others = tuple(
        Followed(decision_id=each.decision_id, attempt=each.follows.attempt)
        for each in items
        if each.decision_id != first.decision_id
    )
    return Follows(
        decision_id=first.decision_id, kind=Kind.DIGEST, attempt=first.attempt, settled=first.settled, others=others
    )


def digest_id(tenant: Tenant, items: Sequence[Waiting]) -> str:
    """Return the id of a digest of messages: the one it has, or one that follows from the first of them."""
    first = items[0]
    if first.digest_id is not None:
        return first.digest_id
    return identity.decision_id(tenant.subject_secret, f"digest {first.decision_id} {first.follows.attempt}")


def put_together(items: Sequence[Waiting], digest: Digest | None) -> digests.Groups[Waiting]:
    """Return what is due of one recipient and type put together; what was together before stays so."""
    before: dict[str, list[Waiting]] = {}
    fresh: dict[tuple[str, ...], list[Waiting]] = {}
    for each in items:
        if each.digest_id is not None and digest is not None:
            before.setdefault(each.digest_id, []).append(each)
        else:
            fresh.setdefault(tuple(each.request.get("channels") or ()), []).append(each)
    made = [digests.grouped(group, digest) for group in fresh.values()]
    whole = tuple(tuple(group) for group in before.values())
    return digests.Groups(
        whole + tuple(each for group in made for each in group.digests),
        tuple(each for group in made for each in group.singles),
    )


def _plain(digest_id: str, items: Sequence[Waiting], left: Sequence[Waiting], now: datetime) -> HandedOver | None:
    """Return what it comes to without asking the gates, or None where they decide."""
    if not left:
        done = next((each for each in items if each.state is State.HANDED_OVER), None)
        reason = Reason.HANDOVER_DONE if done is not None else items[0].reason or Reason.EXPIRY_PASSED
        return HandedOver(Verdict.STOP, reason, (done.settled_as if done is not None else None) or digest_id)
    due_at = max(each.due_at for each in left)
    return HandedOver(Verdict.WAIT, Reason.HANDOVER_NOT_DUE, digest_id, due_at) if now < due_at else None


def _expired(items: Sequence[Waiting], now: datetime) -> list[Waiting]:
    return [each for each in items if each.state is State.WAITING and each.expires_at <= now]


def _id(tenant: Tenant, digest_id: str, items: Sequence[Waiting], key: str) -> str:
    """Return the id of the decision that a hand-over under a key makes; no key of a decision holds a space."""
    attempt = max(each.follows.attempt for each in items)
    return identity.decision_id(tenant.subject_secret, f"digest {digest_id} {attempt} {key}")


def _tell(tenant: Tenant, digest_id: str, told: HandedDigest) -> None:
    verdict, reason = told.handed.verdict.value, told.handed.reason.value
    handover_metrics.DIGESTS.labels(verdict, reason).inc()
    if told.handed.verdict is Verdict.GO:
        handover_metrics.DIGEST_ITEMS.inc(len(told.decision_ids))
    log.info("digest.answered", tenant=tenant.tenant, digest_id=digest_id, verdict=verdict, reason=reason)
