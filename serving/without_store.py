"""Decisions while PostgreSQL is away: owed messages go on by the type's own order, everything else is suppressed.

Nothing is known of the recipient, and nothing is guessed. Each decision is kept in a local file before it is answered,
and recorded when PostgreSQL is back; while it can be kept nowhere there is no answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import Counter

from adapters.decision_spool import DecisionSpool, SpoolUnavailable
from adapters.handover_tokens import HandoverTokens
from adapters.postgres import decision_rows
from adapters.postgres.decision_rows import Recorded, Row
from adapters.postgres.engine import Unavailable
from adapters.spooled import Spooled
from domain import content, content_blocks, decisioning, identity
from domain.content import RenderedContent
from domain.decision_record import Evidence
from domain.decisioning import Draft
from domain.expected import Expected
from domain.gates import screen
from domain.message_types import BadVariables, PublishedType, check_variables
from domain.service_levels import LevelName, Stage, plan_of
from domain.stages import Asked, Settings
from domain.templates import CannotRender
from domain.tenants import Tenant
from domain.values import Channel, MessageClass, Outcome
from serving import decision_metrics
from serving.asks import Ask
from serving.decision_rows import row_of
from serving.situations import Situations

TENANT_DEFAULT = "tenant_default"
CONSENT_UNAVAILABLE = "consent_unavailable"
log = structlog.get_logger("kairos.decisions")
_SPOOLED = Counter("kairos_decisions_spooled", "Decisions answered while PostgreSQL was away.", ("outcome",))


class WithoutStore:
    """Decides from memory."""

    def __init__(
        self,
        spool: DecisionSpool,
        situations: Situations,
        settings: Settings,
        is_holdout: Callable[[Tenant, str], bool],
        tokens: HandoverTokens | None = None,
    ) -> None:
        """Prepare to decide.

        Args:
            spool: keeps what is decided.
            situations: knows the message types as they were last read.
            settings: the policy's constants.
            is_holdout: says of a tenant's recipient whether they are in the hold-out.
            tokens: asks for what is left to do after a decision.
        """
        self._spool = spool
        self._situations = situations
        self._settings = settings
        self._is_holdout = is_holdout
        self._tokens = tokens

    def repeated(self, tenant: Tenant, ask: Ask) -> Recorded | None:
        """Return what was answered to a request that is in the spool, None when it is not there."""
        spooled = self._spool.get(tenant.tenant, ask.decision_id) if ask.may_repeat else None
        if spooled is None:
            return None
        row = spooled.row
        recorded = decision_rows.kept(row)
        return self._told(tenant, ask, recorded, self._again(tenant, ask, recorded))

    def decide(self, tenant: Tenant, asks: Sequence[Ask], *, now: datetime, actor: str) -> list[Recorded | Exception]:
        """Decide each request; return what was kept, or why nothing was, in the order given.

        Raises:
            Unavailable: it could not be kept, or a type was never read by this process; nothing more is answered.
        """
        told: list[Recorded | Exception] = []
        for ask in asks:
            if ask.follows is not None:
                raise Unavailable("PostgreSQL is away, and a hand-over asks again what the recipient allows")
            try:
                told.append(self.repeated(tenant, ask) or self._decided(tenant, ask, now, actor))
            except (BadVariables, CannotRender) as error:
                told.append(error)
            except SpoolUnavailable as error:
                log.error("decision.not_spooled", tenant=tenant.tenant, problem=str(error))  # noqa: TRY400
                raise Unavailable("PostgreSQL is away, and no decision can be kept here") from None
        return told

    def _decided(self, tenant: Tenant, ask: Ask, now: datetime, actor: str) -> Recorded:
        published = self._situations.last_seen(tenant, ask.request.message.type)
        if published is None:
            raise Unavailable("PostgreSQL is away, and the message type was not read before")
        check_variables(published.definition, dict(ask.request.message.variables))
        draft = self._draft(tenant, ask, published, now)
        row = row_of(tenant, draft, self._evidence(tenant, draft, published))
        self._spool.add(Spooled(tenant.tenant, actor, row))
        _tell(tenant, row)
        return self._told(tenant, ask, decision_rows.told(row), draft.rendered)

    def _draft(self, tenant: Tenant, ask: Ask, published: PublishedType, now: datetime) -> Draft:
        request = ask.request
        situation = self._situations.without_store(tenant, request, published.definition, now)
        level = LevelName(request.service_level) if request.service_level is not None else None
        asked = Asked(
            ask.decision_id,
            request,
            situation,
            Expected(),
            self._is_holdout(tenant, request.recipient_id),
            self._settings.where(may_wait=plan_of(level).has(Stage.SEND_TIME)),
        )
        return decisioning.filled(decisioning.decide(asked, screen(request, situation)))

    def _evidence(self, tenant: Tenant, draft: Draft, published: PublishedType) -> Evidence:
        level = draft.request.service_level
        plan = plan_of(LevelName(level) if level is not None else None)
        is_owed = published.definition.message_class is MessageClass.TRANSACTIONAL
        who = draft.request.recipient_id
        return Evidence(
            subject_key=identity.subject_key(tenant.subject_secret, who),
            is_holdout=self._is_holdout(tenant, who),
            may_personalize=False,
            degraded=TENANT_DEFAULT if is_owed else CONSENT_UNAVAILABLE,
            settings=self._settings.where(may_wait=plan.has(Stage.SEND_TIME)),
            type_version=published.version,
            service_level=plan.facts() | {"is_late": False} if plan.level is not None else None,
        )

    def _told(self, tenant: Tenant, ask: Ask, recorded: Recorded, rendered: RenderedContent | None) -> Recorded:
        """Return what was kept, with what is kept nowhere put back in."""
        answer = recorded.answer
        is_sent = answer["outcome"] == Outcome.SEND_NOW
        given: dict[str, Any] = {"content": None, "handover_token": None}
        if is_sent and rendered is not None:
            given["content"] = rendered.model_dump(mode="json")
        if self._tokens is not None and answer["recheck_by"] is not None:
            given["handover_token"] = self._tokens.of(tenant.tenant, ask.decision_id)
        return replace(recorded, answer=answer | given)

    def _again(self, tenant: Tenant, ask: Ask, recorded: Recorded) -> RenderedContent | None:
        published = self._situations.last_seen(tenant, ask.request.message.type)
        if recorded.locale is None or published is None:
            return None
        answer = recorded.answer
        return content.render(
            published.definition,
            channel=Channel(answer["channel"]),
            variant_id=answer["variant_id"],
            wanted=[recorded.locale],
            variables=ask.request.message.variables,
            unsubscribe_url=self._situations.unsubscribe_url(
                tenant, ask.request, published.definition, recorded.decided_at
            ),
            blocks=content_blocks.again(recorded.blocks),
        )


def _tell(tenant: Tenant, row: Row) -> None:
    decision_metrics.count(row.answer)
    _SPOOLED.labels(row.outcome).inc()
    log.warning(
        "decision.spooled", tenant=tenant.tenant, decision_id=row.decision_id, outcome=row.outcome, reason=row.reason
    )
