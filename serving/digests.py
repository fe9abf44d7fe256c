"""Digests handed over: everything in one is decided about at once, by the same gates, and goes as one message.

What a message of a digest lost in the meantime, its time or its permission, is told of each by itself. None waits for
ever because of another one: what cannot be said in a digest goes singly.
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
from domain.handover import Followed, Follows, Kind, State, Verdict, why_no_digest
from domain.message_types import BadVariables, Digest, MessageType, check_variables
from domain.stages import Asked
from domain.templates import CannotRender
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
Variables = Mapping[str, Mapping[str, Any] | None]
"""Those of each message, by the id of its decision; None lets it go by itself."""


@dataclass(frozen=True)
class Dropped:
    """A message that is in the digest no more, and why."""

    decision_id: str
    reason: Reason


@dataclass(frozen=True)
class HandedDigest:
    """What the hand-over of a digest came to, which messages are in it, and which are not any more.

    ``singles`` left it and wait to be handed over by themselves.
    """

    handed: HandedOver
    decision_ids: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    singles: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Call:
    """What a hand-over is asked with."""

    tenant: Tenant
    digest_id: str
    variables: Variables
    key: str | None
    now: datetime
    actor: str


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

        A message whose variables do not fit the type any more, or that is asked to, leaves the digest first and goes by
        itself; so does every message when the digest cannot be filled or the type has none any more.

        Args:
            tenant: whose digest.
            digest_id: as it was told when it came due.
            variables: of each message in it, the same as at its decision, or None for one that is to go by itself;
                those of one that was dropped are ignored.
            key: under the same one, a hand-over that went is answered again.
            now: the tenant's clock.
            actor: who asks.

        Raises:
            NothingLeft: there is no such digest.
            OtherVariables: those of a message are missing or differ, or are of one that is not in the digest.
            CannotRender: what went before under this key cannot be filled again.
            Unavailable: PostgreSQL is away, or others were faster again and again; nothing was decided.
        """
        call = _Call(tenant, digest_id, variables, key, now, actor)
        for _ in range(TRIES):
            try:
                told = self._handed(call)
            except Settled:
                continue
            _tell(tenant, digest_id, told)
            return told
        raise Unavailable("others were faster with this hand-over")

    def _handed(self, call: _Call) -> HandedDigest:
        items = self.queue.get(call.tenant, call.digest_id)
        if not items:
            raise NothingLeft("there is no such digest")
        if unknown := sorted(call.variables.keys() - {each.decision_id for each in items}):
            raise OtherVariables(f"the digest holds no decision {unknown[0]}")
        inside = [each for each in items if each.kind is Kind.DIGEST]
        wanted = _id(call, inside) if call.key is not None else new_id()
        if before := [each for each in inside if each.settled_as == wanted]:
            definition = self.definition(call.tenant, before[-1], now=call.now)
            request = digests.together(_requests(call, before), definition)
            return self._told(call, self._decided(call, _ask(wanted, request, before)), before)
        self._stop(call, [each for each in inside if each.state is State.WAITING and each.expires_at <= call.now])
        left = [each for each in inside if each.state is State.WAITING and each.expires_at > call.now]
        if (found := _plain(call, items, left)) is not None:
            return self._told(call, found, left)
        return self._gone(call, wanted, left)

    def _gone(self, call: _Call, wanted: str, items: Sequence[Waiting]) -> HandedDigest:
        """Decide about the messages of a digest that is due, or let those go singly that cannot be said in it."""
        definition = self.definition(call.tenant, items[-1], now=call.now)
        if leaving := _leaving(call, items, definition):
            return self._without(call, leaving)
        request = digests.together(_requests(call, items), definition)
        try:
            handed = self._decided(call, _ask(wanted, request, items))
        except (BadVariables, CannotRender):
            # Which message is at fault, if it is one, is found when each is filled by itself.
            return self._without(call, items)
        return self._told(call, handed, items)

    def _without(self, call: _Call, leaving: Sequence[Waiting]) -> HandedDigest:
        if not self.queue.take_out(call.tenant, leaving, now=call.now):
            raise Settled("somebody else was faster")
        log.info("digest.left", tenant=call.tenant.tenant, digest_id=call.digest_id, messages=len(leaving))
        return self._handed(call)

    def _told(self, call: _Call, handed: HandedOver, chosen: Sequence[Waiting]) -> HandedDigest:
        inside = tuple(each.decision_id for each in chosen) if handed.verdict is not Verdict.STOP else ()
        items = self.queue.get(call.tenant, call.digest_id)
        stopped = [each for each in items if each.kind is Kind.DIGEST and each.state is State.STOPPED]
        dropped = tuple(Dropped(each.decision_id, each.reason) for each in stopped if each.reason is not None)
        singles = tuple(each.decision_id for each in items if each.kind is not Kind.DIGEST)
        return HandedDigest(handed, inside, dropped, singles)

    def _decided(self, call: _Call, ask: Ask) -> HandedOver:
        ask = self._decider.standing(call.tenant, ask)
        try:
            (recorded,) = self._decider.decide(call.tenant, [ask], now=call.now, actor=call.actor)
        except KeyReused:
            raise OtherVariables("the variables are not those that the hand-over was asked with") from None
        answer = recorded.answer
        verdict = VERDICTS[answer["outcome"]]
        opens_at = datetime.fromisoformat(answer["send_at"]) if verdict is Verdict.WAIT else None
        told = call.digest_id if verdict is Verdict.WAIT else ask.decision_id
        return HandedOver(verdict, Reason(answer["reason"]), told, opens_at, answer)

    def _stop(self, call: _Call, expired: Sequence[Waiting]) -> None:
        for each in expired:
            if not self._follow_ups.stop(call.tenant, each, Reason.EXPIRY_PASSED, actor=call.actor, now=call.now):
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


def put_together(items: Sequence[Waiting], digest: Digest | None, *, is_all: bool = True) -> digests.Groups[Waiting]:
    """Return what is due of one recipient and type put together; what was together before stays so.

    Where more is due than these, what would not fill a digest waits for the rest, unless nothing else is left.
    """
    before: dict[str, list[Waiting]] = {}
    fresh: dict[tuple[str, ...], list[Waiting]] = {}
    for each in items:
        if each.digest_id is not None and digest is not None:
            before.setdefault(each.digest_id, []).append(each)
        else:
            fresh.setdefault(tuple(each.request.get("channels") or ()), []).append(each)
    whole = tuple(tuple(group) for group in before.values())
    made = [digests.grouped(group, digest) for group in fresh.values()]
    found = digests.Groups(
        whole + tuple(each for group in made for each in group.digests),
        tuple(each for group in made for each in group.singles),
    )
    if is_all or digest is None:
        return found
    full = whole + tuple(each for each in found.digests[len(whole) :] if len(each) == digest.at_most)
    return digests.Groups(full, ()) if full else found


def _ask(decision_id: str, request: DecisionRequest, items: Sequence[Waiting]) -> Ask:
    return Ask(decision_id, request, may_repeat=True, follows=follows(items))


def _requests(call: _Call, items: Sequence[Waiting]) -> list[DecisionRequest]:
    """Return what each decision was asked, with its variables again."""
    return [request_of(call.tenant, each, _given(call, each) or {}) for each in items]


def _given(call: _Call, item: Waiting) -> Mapping[str, Any] | None:
    if item.decision_id not in call.variables:
        raise OtherVariables(f"the variables of decision {item.decision_id} are missing")
    return call.variables[item.decision_id]


def _leaving(call: _Call, items: Sequence[Waiting], definition: MessageType) -> list[Waiting]:
    """Return the messages of a digest that go by themselves: all of them where the type has no digest any more."""
    if definition.digest is None:
        return list(items)
    return [each for each in items if not _stays(call, each, definition)]


def _stays(call: _Call, item: Waiting, definition: MessageType) -> bool:
    given = _given(call, item)
    if given is None:
        return False
    request = request_of(call.tenant, item, given)
    try:
        check_variables(definition, dict(request.message.variables))
    except BadVariables:
        return False
    return True


def _plain(call: _Call, items: Sequence[Waiting], left: Sequence[Waiting]) -> HandedOver | None:
    """Return what it comes to without asking the gates, or None where they decide."""
    if not left:
        return _nothing_left(call.digest_id, items)
    due_at = max(each.due_at for each in left)
    if call.now < due_at:
        return HandedOver(Verdict.WAIT, Reason.HANDOVER_NOT_DUE, call.digest_id, due_at)
    return None


def _nothing_left(digest_id: str, items: Sequence[Waiting]) -> HandedOver:
    inside = [each for each in items if each.kind is Kind.DIGEST]
    reason = why_no_digest([(each.state, each.reason) for each in inside], has_singles=len(inside) < len(items))
    done = next((each.settled_as for each in inside if each.state is State.HANDED_OVER), None)
    return HandedOver(Verdict.STOP, reason, done or digest_id)


def _id(call: _Call, inside: Sequence[Waiting]) -> str:
    """Return the id of the decision that a hand-over under a key makes; no key of a decision holds a space."""
    attempt = max((each.follows.attempt for each in inside), default=0)
    return identity.decision_id(call.tenant.subject_secret, f"digest {call.digest_id} {attempt} {call.key}")


def _tell(tenant: Tenant, digest_id: str, told: HandedDigest) -> None:
    verdict, reason = told.handed.verdict.value, told.handed.reason.value
    handover_metrics.DIGESTS.labels(verdict, reason).inc()
    if told.handed.verdict is Verdict.GO:
        handover_metrics.DIGEST_ITEMS.inc(len(told.decision_ids))
    log.info("digest.answered", tenant=tenant.tenant, digest_id=digest_id, verdict=verdict, reason=reason)
