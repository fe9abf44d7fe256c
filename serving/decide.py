"""Decisions: gather, screen, score, choose, record, for a batch of requests; a single one is a batch of one.

Everything is read once and written once. No decision is answered that was not recorded, and what is answered under
an id is always the same.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from adapters.handover_tokens import HandoverTokens
from adapters.postgres import patience
from adapters.postgres.allowances import Moved
from adapters.postgres.decision_rows import Recorded, Row
from adapters.postgres.decisions import DecisionLog, Finish, Known
from adapters.settings import Settings
from adapters.unsubscribe_links import UnsubscribeLinks
from domain import decisioning, digests, identity
from domain.decision_record import Evidence
from domain.decisioning import Draft
from domain.expected import Expected, Weights
from domain.gates import Allowances, Screened, Situation, screen
from domain.message_types import BadVariables, check_variables
from domain.service_levels import EVERYTHING, LevelName, Plan, Stage, plan_of
from domain.stages import Asked
from domain.stages import Settings as PolicySettings
from domain.templates import CannotRender
from domain.tenants import Tenant
from serving import decision_metrics
from serving.asks import Ask
from serving.breakers import Breaker
from serving.decision_answers import Answers, AskRefused
from serving.decision_rows import row_of
from serving.expectations import expected
from serving.fitted import PRIORS, Fitted
from serving.scoring import Model, Scored, ToScore, facts_of, score
from serving.situations import Situations, UnknownType, as_followed
from serving.timing import Timing
from serving.variant_scores import Beliefs, ToVary, with_variants

HOLDOUT = "holdout"
log = structlog.get_logger("kairos.decisions")


@dataclass(frozen=True)
class Opened:
    """A decision under way."""

    ask: Ask
    situation: Situation
    screened: Screened
    type_version: int
    plan: Plan = EVERYTHING
    scored: Scored | None = None
    expected: Expected = field(default_factory=Expected)
    fits_digest: bool = True


class Decider:
    """Decides for one installation."""

    def __init__(
        self,
        log_of: DecisionLog,
        model: Callable[[], Model | None],
        settings: Settings,
        links: UnsubscribeLinks | None = None,
        features: Breaker | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        tokens: HandoverTokens | None = None,
        beliefs: Beliefs = lambda _tenant, _message_type: None,
        worded: Callable[[Tenant, Draft, float | None], Draft] = lambda _tenant, draft, _seconds: draft,
        fitted: Callable[[], Fitted] = lambda: PRIORS,
    ) -> None:
        """Prepare to decide.

        Args:
            log_of: where decisions are recorded and what they stand on is read.
            model: returns the model that serves now, without waiting.
            settings: the policy's constants.
            links: makes the way out that marketing e-mail carries; without it none does.
            features: the breaker of the online features.
            monotonic: the clock of deadlines.
            tokens: asks for what is left to do after a decision; without it nobody can.
            beliefs: returns what is believed of a message type's variants, without waiting.
            worded: adds the words of the tenant's content system, within so many seconds.
            fitted: returns what is believed of everybody's hours and channels, without waiting.
        """
        self._worded = worded
        self._features = features
        self._monotonic = monotonic
        self._store_seconds = settings.decision_postgres_ms / 1000
        self._log = log_of
        self._beliefs = beliefs
        self.fitted = fitted
        self.model = model
        self.situations = Situations(log_of, settings, links)
        self._answers = Answers(log_of, self.situations, tokens)
        self._holdout_share = settings.holdout_share
        self._settings = PolicySettings(
            epsilon=settings.exploration_epsilon,
            temperature=settings.policy_temperature,
            send_cost=settings.send_cost,
            weights=Weights(visit=settings.visit_weight),
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

    @property
    def speaks_to_conversions(self) -> bool:
        """True while a model serves that says how likely conversions are."""
        return self.model() is not None

    def consider(
        self, tenant: Tenant, asks: Sequence[Ask], *, now: datetime
    ) -> list[tuple[Asked, Screened] | AskRefused]:
        """Return what a decision about each request would be drawn from; nothing is recorded, reserved or counted.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        timing = Timing(self._monotonic, is_observed=False)
        standing_for = self._log.survivors(tenant, [ask.request.recipient_id for ask in asks])
        about = [ask.about(standing_for) for ask in asks]
        refused: dict[str, AskRefused] = {}
        opened = self._screened(tenant, about, now, timing, refused, with_heads=False)
        opened = self._scored(self.model(), tenant, opened, timing)
        found = {each.ask.decision_id: (self._asked(tenant, each), each.screened) for each in opened}
        return [found.get(ask.decision_id) or refused[ask.decision_id] for ask in asks]

    def _decided(self, tenant: Tenant, asks: Sequence[Ask], now: datetime, actor: str) -> list[Recorded | AskRefused]:
        if not asks:
            return []
        timing = Timing(self._monotonic)
        if len(asks) > 1:
            # A batch has the time any request has.
            return self._within(tenant, asks, now, actor, timing)
        with patience.no_longer_than(lambda: timing.seconds_for_store(self._store_seconds)):
            return self._within(tenant, asks, now, actor, timing)

    def _within(
        self, tenant: Tenant, asks: Sequence[Ask], now: datetime, actor: str, timing: Timing
    ) -> list[Recorded | AskRefused]:
        stages = timing.stages
        first = _first_of_each(asks)
        before = self._log.recorded(tenant, [each.decision_id for each in first.values() if each.may_repeat])
        refused: dict[str, AskRefused] = {}
        fresh = [ask for ask in first.values() if ask.decision_id not in before]
        opened = self._screened(tenant, fresh, now, timing, refused)
        model = self.model()
        opened = self._scored(model, tenant, opened, timing)
        drafts = self._drafts(tenant, opened, refused, timing)
        stages.ended("choose")
        pending = [
            (each.ask.decision_id, draft.request.recipient_id, self._finish(tenant, each, draft, model, timing))
            for each, draft in drafts
        ]
        followed = _followed(asks)
        after = self._log.record(tenant, pending, actor=actor, now=now, leaving_out=followed) if pending else {}
        stages.ended("record")
        _tell(tenant, after, stages)
        known = before | after
        made = {draft.decision_id: draft for _, draft in drafts}
        return [
            self._answers.told(tenant, ask, first[ask.decision_id], known.get(ask.decision_id), refused, made)
            for ask in asks
        ]

    def situation(self, tenant: Tenant, ask: Ask, *, now: datetime) -> Situation:
        """Return what the gates look at for one request, unlocked, with who stands for its recipient now."""
        request = self.standing(tenant, ask).request
        known = self.situations.known(tenant, [request], now=now, leaving_out=_followed([ask]))
        return self.situations.of_request(tenant, request, as_followed(known, request, ask.follows), now)

    def standing(self, tenant: Tenant, ask: Ask) -> Ask:
        """Return the request about who stands for its recipient now."""
        return ask.about(self._log.survivors(tenant, [ask.request.recipient_id]))

    @property
    def policy_settings(self) -> PolicySettings:
        """The policies' constants."""
        return self._settings

    def _screened(
        self,
        tenant: Tenant,
        asks: Sequence[Ask],
        now: datetime,
        timing: Timing,
        refused: dict[str, AskRefused],
        *,
        with_heads: bool = True,
    ) -> list[Opened]:
        if not asks:
            return []
        followed = _followed(asks)
        requests = [ask.request for ask in asks]
        known = self.situations.known(tenant, requests, now=now, with_heads=with_heads, leaving_out=followed)
        timing.stages.ended("gather")
        opened = []
        for ask in asks:
            try:
                opened.append(self._open(tenant, ask, known, now))
            except (UnknownType, BadVariables) as error:
                refused[ask.decision_id] = error
        timing.hurry(each.plan for each in opened)
        timing.stages.ended("screen")
        return opened

    def _open(self, tenant: Tenant, ask: Ask, known: Known, now: datetime) -> Opened:
        known = as_followed(known, ask.request, ask.follows)
        situation = self.situations.of_request(tenant, ask.request, known, now)
        check_variables(situation.definition, dict(ask.request.message.variables))
        version = known.types[ask.request.message.type].version
        level = ask.request.service_level
        plan = plan_of(LevelName(level) if level is not None else None, known.levels)
        fits = digests.fits(ask.request, situation)
        return Opened(ask, situation, screen(ask.request, situation), version, plan, fits_digest=fits)

    def _scored(self, model: Model | None, tenant: Tenant, opened: Sequence[Opened], timing: Timing) -> list[Opened]:
        wanted = [each for each in opened if each.screened.permitted and _may_score(each)]
        asked = [ToScore(each.ask.request.recipient_id, each.situation, each.screened) for each in wanted]
        scores = score(model, tenant.tenant, asked, seconds=timing.left, breaker=self._features)
        found = dict(zip(map(id, wanted), scores, strict=True))
        scored = [found.get(id(each)) for each in opened]
        believed = expected(
            [each.situation for each in opened],
            [each.screened for each in opened],
            scored,
            send_cost=self._settings.send_cost,
            tires=[each.plan.has(Stage.FATIGUE) for each in opened],
            fitted=self.fitted(),
        )
        drafts = [
            replace(each, scored=told, expected=mean) for each, told, mean in zip(opened, scored, believed, strict=True)
        ]
        means = with_variants(
            self._beliefs, tenant.tenant, [_to_vary(each) for each in drafts], believed, self._settings
        )
        timing.stages.ended("score")
        return [replace(each, expected=mean) for each, mean in zip(drafts, means, strict=True)]

    def _drafts(
        self, tenant: Tenant, opened: Sequence[Opened], refused: dict[str, AskRefused], timing: Timing
    ) -> list[tuple[Opened, Draft]]:
        drafts = []
        for each in opened:
            try:
                drafts.append((each, self._draft(tenant, each, timing)))
            except CannotRender as error:
                refused[each.ask.decision_id] = error
        return drafts

    def _draft(self, tenant: Tenant, opened: Opened, timing: Timing) -> Draft:
        draft = self._worded(tenant, decisioning.decide(self._asked(tenant, opened), opened.screened), timing.left)
        return decisioning.filled(draft, degraded=opened.scored.degraded if opened.scored else None)

    def _asked(self, tenant: Tenant, opened: Opened) -> Asked:
        ask = opened.ask
        return Asked(
            ask.decision_id,
            ask.request,
            opened.situation,
            opened.expected,
            self._is_holdout(tenant, ask.request.recipient_id),
            self._settings.where(may_wait=opened.plan.has(Stage.SEND_TIME), fits_digest=opened.fits_digest),
            ask.follows,
        )

    def _finish(self, tenant: Tenant, opened: Opened, draft: Draft, model: Model | None, timing: Timing) -> Finish:
        def finish(allowed: Allowances) -> Row:
            final = decisioning.recheck(draft, replace(opened.situation, allowances=allowed))
            if final.overridden is not None:
                decision_metrics.LATE_REFUSALS.labels(final.overridden.value).inc()
            evidence = self._evidence(tenant, opened, model, timing)
            return row_of(tenant, final, evidence)

        return finish

    def _evidence(self, tenant: Tenant, opened: Opened, model: Model | None, timing: Timing) -> Evidence:
        scored = opened.scored
        asked = model if scored is not None and scored.p_convert is not None else None
        return Evidence(
            subject_key=identity.subject_key(tenant.subject_secret, opened.ask.request.recipient_id),
            is_holdout=self._is_holdout(tenant, opened.ask.request.recipient_id),
            may_personalize=_may_personalize(opened),
            degraded=scored.degraded if scored is not None else None,
            settings=self._settings.where(may_wait=opened.plan.has(Stage.SEND_TIME), fits_digest=opened.fits_digest),
            type_version=opened.type_version,
            model=facts_of(asked) if asked is not None else None,
            features=scored.features if scored is not None else None,
            as_of=scored.as_of if scored is not None else None,
            stages_ms=timing.stages.milliseconds(),
            service_level=_served(opened.plan, timing),
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


def _may_score(opened: Opened) -> bool:
    return opened.plan.has(Stage.ENGAGEMENT_SCORE) and _may_personalize(opened)


def _served(plan: Plan, timing: Timing) -> dict[str, Any] | None:
    """Return the level as it is recorded, None when the request named none."""
    if plan.level is None:
        return None
    if is_late := timing.is_late(plan):
        decision_metrics.LATE.labels(plan.level.value).inc()
    return plan.facts() | {"is_late": is_late}


def _followed(asks: Sequence[Ask]) -> list[str]:
    """Return the decisions that are followed; what they reserve is theirs to use."""
    return [each for ask in asks if ask.follows is not None for each in ask.follows.decision_ids]


def _to_vary(opened: Opened) -> ToVary:
    ask, definition = opened.ask, opened.situation.definition
    features = opened.scored.features if opened.scored is not None else None
    seen = opened.situation.allowances.spent.seen if _may_personalize(opened) else {}
    exposure = {variant: count for (of_type, variant), count in seen.items() if of_type == definition.type}
    # Levels without the bandit let rules draw the variant.
    channels = opened.screened.permitted if opened.plan.has(Stage.BANDIT) else ()
    return ToVary(ask.decision_id, definition, channels, features, exposure, ask.request.policy)


def _may_personalize(opened: Opened) -> bool:
    channels = opened.screened.permitted or opened.situation.definition.channels
    return opened.situation.allowances.personalization_refusal(channels, opened.situation.now) is None


def new_id() -> str:
    """Return the id of a decision that nobody can ask for again."""
    return str(uuid.uuid4())


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
