"""What is told of a decision: as it was recorded, with what is kept nowhere put back in, its content and its token."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters.handover_tokens import HandoverTokens
from adapters.postgres.decision_rows import Recorded
from adapters.postgres.decisions import DecisionLog
from domain import content_blocks, digest_types
from domain.content import RenderedContent, render
from domain.decisioning import Draft
from domain.message_types import BadVariables
from domain.templates import CannotRender
from domain.tenants import Tenant
from domain.values import Channel, Outcome
from serving.asks import Ask
from serving.situations import Situations, UnknownType


class KeyReused(RuntimeError):
    """The idempotency key stands for another request."""


AskRefused = UnknownType | BadVariables | CannotRender | KeyReused
"""Why nothing was decided about one request of a batch; the others are decided all the same."""


@dataclass(frozen=True)
class Answers:
    """Puts answers together."""

    log: DecisionLog
    situations: Situations
    tokens: HandoverTokens | None

    def told(
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
        if self.tokens is None or answer["recheck_by"] is None:
            return None
        return self.tokens.of(tenant.tenant, decision_id)

    def _again(self, tenant: Tenant, ask: Ask, recorded: Recorded) -> RenderedContent | None:
        if recorded.locale is None:
            return None
        answer = recorded.answer
        published = self.log.definition(tenant, ask.request.message.type, answer["versions"]["message_type"])
        definition = digest_types.followed(published, ask.follows)
        return render(
            definition,
            channel=Channel(answer["channel"]),
            variant_id=answer["variant_id"],
            wanted=[recorded.locale],
            variables=ask.request.message.variables,
            unsubscribe_url=self.situations.unsubscribe_url(tenant, ask.request, definition, recorded.decided_at),
            blocks=content_blocks.again(recorded.blocks),
        )
