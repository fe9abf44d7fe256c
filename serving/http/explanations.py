"""``GET /v1/decisions/{id}/explanation``: why a decision came out as it did, in sentences made from its record."""

from typing import Annotated

from fastapi import APIRouter

from domain.explanations import explain
from domain.values import Frozen, Outcome, Reason
from serving.http.auth import Caller, PartsOf, own_part, permission
from serving.http.decisions import DecisionId, recorded_decision
from serving.http.errors import problems
from serving.http.routes import Route

router = APIRouter(route_class=Route, tags=["decisions"])


class Explanation(Frozen):
    """Why, the most important first."""

    decision_id: str
    outcome: Outcome
    reason: Reason
    action_probability: float
    sentences: list[str]


@router.get("/v1/decisions/{decision_id}/explanation", summary="Why was it decided so", responses=problems(404))
@own_part
def get_explanation(
    caller: Annotated[Caller, permission("decisions:read")], decision_id: DecisionId, parts: PartsOf
) -> Explanation:
    """Tell which rule won, which channels were refused and why, and the chance of every action before the draw."""
    record = recorded_decision(parts, caller, decision_id)
    return Explanation(
        decision_id=decision_id,
        outcome=record["outcome"],
        reason=record["reason"],
        action_probability=record["action_probability"],
        sentences=explain(record),
    )
