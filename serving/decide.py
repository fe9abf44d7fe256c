"""Decisions: gather, screen, score, choose, record, for a batch of requests; a single one is a batch of one.

Everything is read once and written once. No decision is answered that was not recorded, and what is answered under
an id is always the same.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

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
from domain.message_types import check_variables
from domain.stages import Asked
from domain.stages import Settings as PolicySettings
from domain.tenants import Tenant
from domain.values import Channel, Outcome
from serving import decision_metrics
from serving.asks import Ask
from serving.decision_rows import row_of
from serving.expectations import expected
from serving.scoring import Model, Scored, ToScore, score
from serving.situations import Situations

HOLDOUT = "holdout"
log = structlog.get_logger("kairos.decisions")


class KeyReused(RuntimeError):
    """The idempotency key stands for another request."""


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
    ) -> None:
        """Prepare to decide.

        Args:
            log_of: where decisions are recorded and what they stand on is read.
            model: returns the model that serves now, without waiting.
            settings: the policy's constants.
            links: makes the way out that marketing e-mail carries; without it none does.
        """
        self._log = log_of
        self._model = model
        self.situations = Situations(log_of, settings, links)
        self._holdout_share = settings.holdout_share
        self._settings = PolicySettings(
            epsilon=settings.exploration_epsilon,
            temperature=settings.policy_temperature,
            send_cost=settings.send_cost,
        )

    def decide(self, tenant: Tenant, asks: Sequence[Ask], *, now: datetime, actor: str) -> list[Recorded]:
        """Decide each request and return what was recorded for it, in the order given.

        A recipient who was merged into another is decided about as that one.

        Raises:
            UnknownType: a request names a message type that is not published.
            BadVariables: a request's variables do not fit the type's schema.
            CannotRender: a template cannot be filled with the variables.
            KeyReused: an id was used before for another request.
            Unavailable: PostgreSQL is away; nothing was decided.
        """
        try:
            return self._decided(tenant, asks, now, actor)
        except Moved as moved:
            # Found under the lock of the first try, so that requests about nobody's alias ask nothing more.
            about = [ask.about(moved.survivors) for ask in asks]
            return self._decided(tenant, about, now, actor)

    def _decided(self, tenant: Tenant, asks: Sequence[Ask], now: datetime, actor: str) -> list[Recorded]:
        stages = decision_metrics.Stages()
        before = self._log.recorded(tenant, [ask.decision_id for ask in asks if ask.may_repeat])
        opened = self._screened(tenant, [ask for ask in asks if ask.decision_id not in before], now, stages)
        model = self._model()
        opened = self._scored(model, tenant, opened, stages)
        drafts = [(each, self._draft(tenant, each)) for each in opened]
        stages.ended("choose")
        pending = [
            (each.ask.decision_id, draft.request.recipient_id, self._finish(tenant, each, draft, model, stages))
            for each, draft in drafts
        ]
        after = self._log.record(tenant, pending, actor=actor, now=now) if pending else {}
        stages.ended("record")
        _tell(tenant, after, stages)
        return self._told(tenant, asks, before, after, {draft.decision_id: draft for _, draft in drafts})

    def _told(
        self,
        tenant: Tenant,
        asks: Sequence[Ask],
        before: Mapping[str, Recorded],
        after: Mapping[str, Recorded],
        drafts: Mapping[str, Draft],
    ) -> list[Recorded]:
        """Return what was recorded, with the content put back in: it is kept nowhere, and made again for a repeat."""
        told = []
        for ask in asks:
            recorded = after.get(ask.decision_id) or before[ask.decision_id]
            if not ask.may_be(recorded.fingerprint, tenant.subject_secret):
                raise KeyReused("this key stands for another request")
            rendered = drafts[ask.decision_id].rendered if recorded.is_new else self._again(tenant, ask, recorded)
            is_sent = recorded.answer["outcome"] == Outcome.SEND_NOW
            content = rendered.model_dump(mode="json") if rendered is not None and is_sent else None
            told.append(replace(recorded, answer=recorded.answer | {"content": content}))
        return told

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
        self, tenant: Tenant, asks: Sequence[Ask], now: datetime, stages: "decision_metrics.Stages"
    ) -> list[_Open]:
        if not asks:
            return []
        known = self.situations.known(tenant, [ask.request for ask in asks], now=now)
        stages.ended("gather")
        opened = [self._open(tenant, ask, known, now) for ask in asks]
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

    def _draft(self, tenant: Tenant, opened: _Open) -> Draft:
        ask = opened.ask
        asked = Asked(
            ask.decision_id,
            ask.request,
            opened.situation,
            opened.expected,
            self._is_holdout(tenant, ask.request.recipient_id),
            self._settings,
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
