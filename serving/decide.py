"""Decisions: gather, screen, score, choose, record, for a batch of requests; a single one is a batch of one.

Everything is read once and written once. No decision is answered that was not recorded, and what is answered under
an id is always the same.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from adapters.handover_tokens import HandoverTokens
from adapters.postgres.allowances import Moved
from adapters.postgres.decisions import DecisionLog, Finish, Known, Recorded, Row
from adapters.settings import Settings
from adapters.unsubscribe_links import UnsubscribeLinks
from domain import decisioning, identity
from domain.content import RenderedContent, render
from domain.decision_record import Evidence
from domain.decisioning import Draft
from domain.expected import Expected
from domain.gates import Allowances, Screened, Situation, screen
from domain.message_types import BadVariables, check_variables
from domain.stages import Asked
from domain.stages import Settings as PolicySettings
from domain.templates import CannotRender
from domain.tenants import Tenant
from domain.values import Channel, Outcome
from serving import decision_metrics
from serving.asks import Ask
from serving.decision_rows import row_of
from serving.expectations import expected
from serving.scoring import Model, Scored, ToScore, score
from serving.situations import Situations, UnknownType

HOLDOUT = "holdout"
log = structlog.get_logger("kairos.decisions")


class KeyReused(RuntimeError):
    """The idempotency key stands for another request."""


AskRefused = UnknownType | BadVariables | CannotRender | KeyReused
"""Why nothing was decided about one request of a batch; the others are decided all the same."""


@dataclass(frozen=True)
class _Open:
    """A decision under way."""

    ask: Ask
    situation: Situation
    screened: Screened
    type_version: int
    scored: Scored | None = None
    expected: Expected = field(default_factory=Expected)


class Decider:
    """Decides for one installation."""

    def __init__(
        self,
        log_of: DecisionLog,
        model: Callable[[], Model | None],
        settings: Settings,
        links: UnsubscribeLinks | None = None,
        tokens: HandoverTokens | None = None,
    ) -> None:
        """Prepare to decide.

        Args:
            log_of: where decisions are recorded and what they stand on is read.
            model: returns the model that serves now, without waiting.
            settings: the policy's constants.
            links: makes the way out that marketing e-mail carries; without it none does.
            tokens: asks for what is left to do after a decision; without it nobody can.
        """
        self._log = log_of
        self._model = model
        self.situations = Situations(log_of, settings, links)
        self._tokens = tokens
        self._holdout_share = settings.holdout_share
        self._settings = PolicySettings(
            epsilon=settings.exploration_epsilon,
            temperature=settings.policy_temperature,
            send_cost=settings.send_cost,
        )

    def decide(self, tenant: Tenant, asks: Sequence[Ask], *, now: datetime, actor: str) -> list[Recorded]:
        """Decide each request and return what was recorded for it, in the order given.

        Raises:
            UnknownType: a request names a message type that is not published.
            BadVariables: a request's variables do not fit the type's schema.
            CannotRender: a template cannot be filled with the variables.
            KeyReused: an id was used before for another request.
            Unavailable: PostgreSQL is away; nothing was decided.
        """
        told = []
        for verdict in self.decide_each(tenant, asks, now=now, actor=actor):
            if not isinstance(verdict, Recorded):
                raise verdict
            told.append(verdict)
        return told

    def decide_each(
        self, tenant: Tenant, asks: Sequence[Ask], *, now: datetime, actor: str
    ) -> list[Recorded | AskRefused]:
        """Decide each request that can be decided; return what was recorded, or why nothing was, in the order given.

        A recipient who was merged into another is decided about as that one. Of requests that share an id the first
        counts: an equal one is told the same, another one that the key was used.

        Raises:
            Unavailable: PostgreSQL is away; nothing was decided.
        """
        try:
            return self._decided(tenant, asks, now, actor)
        except Moved as moved:
            # Found under the lock of the first try, so that requests about nobody's alias ask nothing more.
            about = [ask.about(moved.survivors) for ask in asks]
            return self._decided(tenant, about, now, actor)

    def _decided(self, tenant: Tenant, asks: Sequence[Ask], now: datetime, actor: str) -> list[Recorded | AskRefused]:
        if not asks:
            return []
        stages = decision_metrics.Stages()
        first = _first_of_each(asks)
        before = self._log.recorded(tenant, [each.decision_id for each in first.values() if each.may_repeat])
        refused: dict[str, AskRefused] = {}
        fresh = [ask for ask in first.values() if ask.decision_id not in before]
        opened = self._screened(tenant, fresh, now, stages, refused)
        model = self._model()
        opened = self._scored(model, tenant, opened, stages)
        drafts = self._drafts(tenant, opened, refused)
        stages.ended("choose")
        pending = [
            (each.ask.decision_id, draft.request.recipient_id, self._finish(tenant, each, draft, model, stages))
            for each, draft in drafts
        ]
        followed = _followed(asks)
        after = self._log.record(tenant, pending, actor=actor, now=now, leaving_out=followed) if pending else {}
        stages.ended("record")
        _tell(tenant, after, stages)
        known = before | after
        made = {draft.decision_id: draft for _, draft in drafts}
        return [
            self._told(tenant, ask, first[ask.decision_id], known.get(ask.decision_id), refused, made) for ask in asks
        ]

    def _told(
        self,
        tenant: Tenant,
        ask: Ask,
        first: Ask,
        recorded: Recorded | None,
        refused: Mapping[str, AskRefused],
        drafts: Mapping[str, Draft],
    ) -> Recorded | AskRefused:
        """Return what was recorded, with the content put back in: it is kept nowhere, and made again for a repeat."""
        secret = tenant.subject_secret
        fingerprint = recorded.fingerprint if recorded is not None else first.request.fingerprint(secret)
        if not ask.may_be(fingerprint, secret):
            return KeyReused("this key stands for another request")
        if recorded is None:
            return refused[ask.decision_id]
        try:
            rendered = drafts[ask.decision_id].rendered if recorded.is_new else self._again(tenant, ask, recorded)
        except CannotRender as error:
            return error
        is_sent = recorded.answer["outcome"] == Outcome.SEND_NOW
        content = rendered.model_dump(mode="json") if rendered is not None and is_sent else None
        given = {"content": content, "handover_token": self._token(tenant, ask.decision_id, recorded.answer)}
        return replace(recorded, answer=recorded.answer | given)

    def _token(self, tenant: Tenant, decision_id: str, answer: Mapping[str, Any]) -> str | None:
        """Return what asks for the hand-over of what is left to do; like the content, it is kept nowhere."""
        if self._tokens is None or answer["recheck_by"] is None:
            return None
        return self._tokens.of(tenant.tenant, decision_id)

    def situation(self, tenant: Tenant, ask: Ask, *, now: datetime) -> Situation:
        """Return what the gates look at for one request, unlocked, with who stands for its recipient now."""
        request = self.standing(tenant, ask).request
        known = self.situations.known(tenant, [request], now=now, leaving_out=_followed([ask]))
        return self.situations.of_request(tenant, request, known, now)

    def standing(self, tenant: Tenant, ask: Ask) -> Ask:
        """Return the request about who stands for its recipient now."""
        return ask.about(self._log.survivors(tenant, [ask.request.recipient_id]))

    @property
    def policy_settings(self) -> PolicySettings:
        """The policies' constants."""
        return self._settings

    def _again(self, tenant: Tenant, ask: Ask, recorded: Recorded) -> RenderedContent | None:
        if recorded.locale is None:
            return None
        answer = recorded.answer
        definition = self._log.definition(tenant, ask.request.message.type, answer["versions"]["message_type"])
        return render(
            definition,
            channel=Channel(answer["channel"]),
            variant_id=answer["variant_id"],
            wanted=[recorded.locale],
            variables=ask.request.message.variables,
            unsubscribe_url=self.situations.unsubscribe_url(tenant, ask.request, definition, recorded.decided_at),
        )

    def _screened(
        self,
        tenant: Tenant,
        asks: Sequence[Ask],
        now: datetime,
        stages: "decision_metrics.Stages",
        refused: dict[str, AskRefused],
    ) -> list[_Open]:
        if not asks:
            return []
        known = self.situations.known(tenant, [ask.request for ask in asks], now=now, leaving_out=_followed(asks))
        stages.ended("gather")
        opened = []
        for ask in asks:
            try:
                opened.append(self._open(tenant, ask, known, now))
            except (UnknownType, BadVariables) as error:
                refused[ask.decision_id] = error
        stages.ended("screen")
        return opened

    def _open(self, tenant: Tenant, ask: Ask, known: Known, now: datetime) -> _Open:
        situation = self.situations.of_request(tenant, ask.request, known, now)
        check_variables(situation.definition, dict(ask.request.message.variables))
        version = known.types[ask.request.message.type].version
        return _Open(ask, situation, screen(ask.request, situation), version)

    def _scored(
        self, model: Model | None, tenant: Tenant, opened: Sequence[_Open], stages: "decision_metrics.Stages"
    ) -> list[_Open]:
        wanted = [each for each in opened if each.screened.permitted and _may_personalize(each)]
        asked = [ToScore(each.ask.request.recipient_id, each.situation, each.screened) for each in wanted]
        found = dict(zip(map(id, wanted), score(model, tenant.tenant, asked), strict=True))
        scored = [found.get(id(each)) for each in opened]
        believed = expected(
            [each.situation for each in opened],
            [each.screened for each in opened],
            scored,
            send_cost=self._settings.send_cost,
        )
        stages.ended("score")
        return [
            replace(each, scored=told, expected=mean) for each, told, mean in zip(opened, scored, believed, strict=True)
        ]

    def _drafts(
        self, tenant: Tenant, opened: Sequence[_Open], refused: dict[str, AskRefused]
    ) -> list[tuple[_Open, Draft]]:
        drafts = []
        for each in opened:
            try:
                drafts.append((each, self._draft(tenant, each)))
            except CannotRender as error:
                refused[each.ask.decision_id] = error
        return drafts

    def _draft(self, tenant: Tenant, opened: _Open) -> Draft:
        ask = opened.ask
        asked = Asked(
            ask.decision_id,
            ask.request,
            opened.situation,
            opened.expected,
            self._is_holdout(tenant, ask.request.recipient_id),
            self._settings,
            ask.follows,
        )
        return decisioning.filled(decisioning.decide(asked, opened.screened))

    def _finish(
        self, tenant: Tenant, opened: _Open, draft: Draft, model: Model | None, stages: "decision_metrics.Stages"
    ) -> Finish:
        def finish(allowed: Allowances) -> Row:
            final = decisioning.recheck(draft, replace(opened.situation, allowances=allowed))
            if final.overridden is not None:
                decision_metrics.LATE_REFUSALS.labels(final.overridden.value).inc()
            evidence = self._evidence(tenant, opened, model, stages)
            return row_of(tenant, final, evidence)

        return finish

    def _evidence(
        self, tenant: Tenant, opened: _Open, model: Model | None, stages: "decision_metrics.Stages"
    ) -> Evidence:
        scored = opened.scored
        asked = model if scored is not None and scored.p_convert is not None else None
        return Evidence(
            subject_key=identity.subject_key(tenant.subject_secret, opened.ask.request.recipient_id),
            is_holdout=self._is_holdout(tenant, opened.ask.request.recipient_id),
            may_personalize=_may_personalize(opened),
            degraded=scored.degraded if scored is not None else None,
            settings=self._settings,
            type_version=opened.type_version,
            model=_model_facts(asked) if asked is not None else None,
            features=scored.features if scored is not None else None,
            as_of=scored.as_of if scored is not None else None,
            stages_ms=stages.milliseconds(),
        )

    def _is_holdout(self, tenant: Tenant, recipient_id: str) -> bool:
        subject = identity.subject_key(tenant.subject_secret, recipient_id)
        return identity.in_share(subject, HOLDOUT, self._holdout_share)


def _first_of_each(asks: Sequence[Ask]) -> dict[str, Ask]:
    """Return the first request under each id."""
    first: dict[str, Ask] = {}
    for ask in asks:
        first.setdefault(ask.decision_id, ask)
    return first


def _followed(asks: Sequence[Ask]) -> list[str]:
    """Return the decisions that are followed; what they reserve is theirs to use."""
    return [ask.follows.decision_id for ask in asks if ask.follows is not None]


def _may_personalize(opened: _Open) -> bool:
    channels = opened.screened.permitted or opened.situation.definition.channels
    return opened.situation.allowances.personalization_refusal(channels, opened.situation.now) is None


def new_id() -> str:
    """Return the id of a decision that nobody can ask for again."""
    return str(uuid.uuid4())


def _model_facts(model: Model) -> dict[str, str]:
    return {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "run_id": model.run_id,
        "feature_service": model.feature_service,
    }


def _tell(tenant: Tenant, made: dict[str, Recorded], stages: "decision_metrics.Stages") -> None:
    for decision_id, recorded in made.items():
        if not recorded.is_new:
            continue
        decision_metrics.count(recorded.answer)
        log.info(
            "decision.recorded",
            tenant=tenant.tenant,
            decision_id=decision_id,
            outcome=recorded.answer["outcome"],
            reason=recorded.answer["reason"],
            ms=round(stages.total_ms(), 3),
        )
