"""``POST /v1/decisions/{id}/outcome``: how a message fared, stored as an event by the one way all events take."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from adapters.postgres.sent_decisions import NotSent, Sent
from domain import ingest
from domain.ingest import Item, Verdict
from domain.outcomes import EARLIEST, SOURCE, OutcomeReport
from domain.values import Frozen
from serving import handover_metrics, metrics
from serving.admission import Lane
from serving.http.auth import Caller, PartsOf, permission
from serving.http.decisions import DecisionId
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route, in_lane
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["decisions"])
NOT_SENT = declared("decision.not_sent", 409, "The decision sent nothing, or its message still waits.")


class OutcomeAnswer(Frozen):
    """What became of a report, committed before this was written."""

    verdict: Verdict = Field(description="`stored`, or `duplicate` when it was reported before.")
    decision_id: str = Field(description="The decision that sent the message: its hand-over's, where one did.")
    source: str = Field(description="With `event_id`, the event that the report became.")
    event_id: str


@router.post(
    "/v1/decisions/{decision_id}/outcome",
    status_code=202,
    summary="Report how a message fared",
    responses=problems(404, 409),
)
@in_lane(Lane.REAL_TIME)
def post_outcome(
    caller: Annotated[Caller, permission("events:write")],
    decision_id: DecisionId,
    body: Annotated[OutcomeReport, body_of(OutcomeReport)],
    parts: PartsOf,
) -> OutcomeAnswer:
    """Store what happened to the message of a decision; the same report again stores nothing and says so.

    It becomes an event with the decision's channel, variant and campaign. `failed` and `bounced` give the recipient
    the contact back; `opted_out` withdraws consent on the channel; what tells that a message reached ends its
    escalation. A report is refused that is older than events are kept, or older than its decision.
    """
    tenant = caller.tenant
    try:
        sent = parts.sent_decisions.find(tenant, decision_id)
    except NotSent:
        raise Refused(NOT_SENT, "This decision sent nothing, or its message still waits.") from None
    if sent is None:
        raise Refused(ProblemCode.NOT_FOUND, "There is no decision with this id.")
    if not parts.sent_decisions.is_about(tenant, sent, body.recipient_id):
        problem = FieldError(field="recipient_id", expected="the recipient of the decision")
        raise Refused(ProblemCode.INVALID, "The decision is about somebody else.", errors=[problem])
    if body.occurred_at < sent.decided_at - EARLIEST:
        problem = FieldError(field="occurred_at", expected="a moment that is not before the decision's")
        raise Refused(ProblemCode.INVALID, "Nothing can have become of the message before.", errors=[problem])
    return _stored(parts, caller, sent, body)


def _stored(parts: PartsOf, caller: Caller, sent: Sent, report: OutcomeReport) -> OutcomeAnswer:
    tenant, event_id = caller.tenant, report.id_for(sent.decision_id)
    (verdict,) = parts.event_log.append(
        tenant, [_item(sent, report, event_id)], origin=SOURCE, received_at=parts.clock.real(),
        now=parts.clock.now(tenant),
    )  # fmt: skip
    metrics.count_ingest(tenant.tenant, ingest.Counts.of([verdict]))
    handover_metrics.OUTCOMES.labels(report.type.value, verdict.verdict.value).inc()
    if (why := verdict.rejection) is not None:
        problem = FieldError(field=why.field or "", expected=why.expected)
        raise Refused(why.code, "The outcome was not stored; it is kept as a dead letter.", errors=[problem])
    return OutcomeAnswer(verdict=verdict.verdict, decision_id=sent.decision_id, source=SOURCE, event_id=event_id)


def _item(sent: Sent, report: OutcomeReport, event_id: str) -> Item:
    body = {
        "source": SOURCE,
        "event_id": event_id,
        "type": report.type.event_type.value,
        "recipient_id": report.recipient_id,
        "occurred_at": report.occurred_at.isoformat(),
        "channel": sent.channel.value,
        "campaign_id": sent.campaign_id,
        "message_type": sent.message_type,
        "variant_id": sent.variant_id,
        "decision_id": sent.decision_id,
        "value": report.value.model_dump(mode="json") if report.value is not None else None,
        "properties": report.properties,
    }
    return ingest.parse({name: value for name, value in body.items() if value is not None}, 0)
