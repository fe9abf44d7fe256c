"""Hand-overs: the moment of truth for what was deferred or must reach, by the same gates and in the same transaction.

A hand-over is a decision about the same request at a later moment. It goes once: whoever asks again under the same key
is answered the same, everybody else is told that it is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from adapters.handover_tokens import HandoverTokens
from adapters.postgres.engine import Unavailable
from adapters.postgres.follow_up_queue import FollowUps, Waiting
from adapters.postgres.follow_ups import Settled
from domain import decisioning, identity
from domain.decision_request import DecisionRequest
from domain.decisioning import Draft
from domain.expected import Expected
from domain.gates import screen
from domain.handover import Kind, State, Verdict, before_the_gates
from domain.stages import Asked
from domain.tenants import Tenant
from domain.values import Outcome, Reason
from serving import handover_metrics
from serving.asks import Ask
from serving.decide import Decider, new_id

TRIES = 3
"""Times that a hand-over is tried while others are faster."""
VERDICTS = {
    Outcome.SEND_NOW.value: Verdict.GO,
    Outcome.DEFER.value: Verdict.WAIT,
    Outcome.SUPPRESS.value: Verdict.STOP,
}
log = structlog.get_logger("kairos.handovers")


class NothingLeft(LookupError):
    """There is no such decision, or it left nothing to hand over."""


class OtherVariables(ValueError):
    """The variables are not those that the decision was asked with."""


@dataclass(frozen=True)
class HandedOver:
    """What a hand-over came to.

    ``decision_id`` is the one that outcomes are reported under. ``answer`` is the decision's, None where none was made.
    """

    verdict: Verdict
    reason: Reason
    decision_id: str
    opens_at: datetime | None = None
    answer: Mapping[str, Any] | None = None


class Handovers:
    """Hands over what decisions left to do."""

    def __init__(self, decider: Decider, queue: FollowUps, tokens: HandoverTokens) -> None:
        self.tokens = tokens
        self.queue = queue
        self._decider = decider

    def hand_over(
        self,
        tenant: Tenant,
        decision_id: str,
        variables: Mapping[str, Any],
        *,
        key: str | None,
        now: datetime,
        actor: str,
    ) -> HandedOver:
        """Decide about what a decision left to do, and commit what comes out.

        Args:
            tenant: whose decision.
            decision_id: the one that left it.
            variables: of the message, the same as at the decision: they are kept nowhere.
            key: under the same one, a hand-over that went is answered again.
            now: the tenant's clock.
            actor: who asks.

        Raises:
            NothingLeft: the decision left nothing to do, or is not there.
            OtherVariables: the variables differ.
            CannotRender: a template cannot be filled with the variables.
            Unavailable: PostgreSQL is away, or others were faster again and again; nothing was decided.
        """
        for _ in range(TRIES):
            waiting = self.queue.get(tenant, decision_id)
            if waiting is None:
                raise NothingLeft("the decision left nothing to hand over")
            try:
                handed = self._handed(tenant, waiting, variables, key, now, actor)
            except Settled:
                continue
            handover_metrics.HANDOVERS.labels(handed.verdict.value, handed.reason.value).inc()
            told = {"verdict": handed.verdict.value, "reason": handed.reason.value}
            log.info("handover.answered", tenant=tenant.tenant, decision_id=decision_id, **told)
            return handed
        raise Unavailable("others were faster with this hand-over")

    def _handed(
        self,
        tenant: Tenant,
        waiting: Waiting,
        variables: Mapping[str, Any],
        key: str | None,
        now: datetime,
        actor: str,
    ) -> HandedOver:
        request = request_of(tenant, waiting, variables)
        wanted = _id(tenant, waiting, key) if key is not None else new_id()
        if wanted != waiting.settled_as and (found := self._plain(waiting, now)) is not None:
            if found.verdict is Verdict.STOP and waiting.state is State.WAITING:
                self._give_up(tenant, waiting, found.reason, actor, now)
            return found
        ask = Ask(wanted, request, may_repeat=True, follows=waiting.follows)
        if waiting.state is not State.WAITING:
            # It was recorded about who stood for the recipient then.
            ask = self._decider.standing(tenant, ask)
        (recorded,) = self._decider.decide(tenant, [ask], now=now, actor=actor)
        answer = recorded.answer
        verdict = VERDICTS[answer["outcome"]]
        opens_at = datetime.fromisoformat(answer["send_at"]) if verdict is Verdict.WAIT else None
        told = waiting.decision_id if verdict is Verdict.WAIT else wanted
        return HandedOver(verdict, Reason(answer["reason"]), told, opens_at, answer)

    def check(self, tenant: Tenant, waiting: Waiting, *, now: datetime) -> HandedOver:
        """Return what a hand-over would come to now, as far as can be told without making it; nothing is recorded.

        A message that may go is told as ``go``, whatever a draw among its channels would bring.
        """
        if (found := self._plain(waiting, now)) is not None:
            return found
        draft = self._draft(tenant, waiting, now)
        if draft is None:
            return HandedOver(Verdict.GO, Reason.POLICY_SETTLED, waiting.decision_id)
        return HandedOver(VERDICTS[draft.outcome.value], draft.reason, waiting.decision_id, draft.send_at)

    def _plain(self, waiting: Waiting, now: datetime) -> HandedOver | None:
        """Return what it comes to without asking the gates, or None where they decide."""
        found = before_the_gates(
            waiting.state,
            waiting.reason,
            due_at=waiting.due_at,
            expires_at=waiting.expires_at,
            now=now,
            kind=waiting.kind,
        )
        if found is None:
            return None
        verdict, reason = found
        opens_at = waiting.due_at if verdict is Verdict.WAIT else None
        return HandedOver(verdict, reason, waiting.settled_as or waiting.decision_id, opens_at)

    def _give_up(self, tenant: Tenant, waiting: Waiting, reason: Reason, actor: str, now: datetime) -> None:
        if not self.queue.stop(tenant, waiting, reason, actor=actor, now=now):
            raise Settled("somebody else was faster")

    def _draft(self, tenant: Tenant, waiting: Waiting, now: datetime) -> Draft | None:
        """Return what the gates alone decide, or None where they leave something to do."""
        request = without_variables(waiting)
        ask = Ask(waiting.decision_id, request, follows=waiting.follows)
        situation = self._decider.situation(tenant, ask, now=now)
        screened = screen(request, situation)
        settled = waiting.follows.settled
        open_now = screened.permitted if settled is None else {settled.channel} & set(screened.permitted)
        if open_now:
            return None
        asked = Asked(
            waiting.decision_id,
            request,
            situation,
            expected=Expected(),
            is_holdout=False,
            settings=self._decider.policy_settings,
            follows=waiting.follows,
        )
        return decisioning.decide(asked, screened)


def _id(tenant: Tenant, waiting: Waiting, key: str) -> str:
    """Return the id of the decision that a hand-over under a key makes; no key of a decision holds a space."""
    named = f"handover {waiting.decision_id} {waiting.follows.attempt} {key}"
    return identity.decision_id(tenant.subject_secret, named)


def request_of(tenant: Tenant, waiting: Waiting, variables: Mapping[str, Any]) -> DecisionRequest:
    """Return the request that a decision answered, with its variables again.

    Raises:
        OtherVariables: they are not those it was asked with.
    """
    request = _rebuilt(waiting, dict(variables))
    if request.fingerprint(tenant.subject_secret) != waiting.fingerprint:
        raise OtherVariables("the variables are not those that the decision was asked with")
    return _narrowed(request, waiting)


def without_variables(waiting: Waiting) -> DecisionRequest:
    """Return the request that a decision answered, as it is kept."""
    return _narrowed(_rebuilt(waiting, {}), waiting)


def _rebuilt(waiting: Waiting, variables: dict[str, Any]) -> DecisionRequest:
    message = {**waiting.request["message"], "variables": variables}
    body = {**waiting.request, "recipient_id": waiting.recipient_id, "message": message}
    return DecisionRequest.model_validate(body)


def _narrowed(request: DecisionRequest, waiting: Waiting) -> DecisionRequest:
    if waiting.kind is not Kind.ESCALATION:
        return request
    return request.model_copy(update={"channels": waiting.remaining})
