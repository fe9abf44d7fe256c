"""``GET /v1/decisions/{id}/explanation``: why a decision came out as it did, from its record, in three voices."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from domain.explained import StageExplained, Terms, Voice, gates_passed, sentences, stages_of, terms_of
from domain.flips import Flip
from domain.values import Channel, Frozen, Outcome, Reason
from serving.decision_explanations import Contributions, contributions_of, flips_of
from serving.http.auth import Caller, PartsOf, own_part, permission
from serving.http.decisions import DecisionId, recorded_decision
from serving.http.errors import problems
from serving.http.routes import Route

router = APIRouter(route_class=Route, tags=["decisions"])


class Explanation(Frozen):
    """Why, the most important first. Everything but the sentences is told to operators and regulators only."""

    decision_id: str
    outcome: Outcome
    reason: Reason
    action_probability: float
    voice: Voice
    sentences: list[str]
    passed: dict[Channel, tuple[str, ...]] = Field(default_factory=dict)
    stages: tuple[StageExplained, ...] = ()
    terms: dict[Channel, Terms] = Field(default_factory=dict)
    flips: tuple[Flip, ...] = ()
    contributions: dict[Channel, Contributions] | None = None
    contributions_missing: str | None = None


@router.get("/v1/decisions/{decision_id}/explanation", summary="Why was it decided so", responses=problems(404))
@own_part
def get_explanation(
    caller: Annotated[Caller, permission("decisions:read")],
    decision_id: DecisionId,
    parts: PartsOf,
    voice: Annotated[
        Voice | None, Query(description="For whom; null is the operator, or the recipient who asks.")
    ] = None,
    contributions: Annotated[bool, Query(description="Also tell what each feature of the model added.")] = False,  # noqa: FBT002 - a query parameter
) -> Explanation:
    """Tell which rule won, what was refused and why, each chance before the draw, and what would have changed it.

    A recipient is told in the recipient's voice, whichever is asked for. Contributions are what a feature is associated
    with in the model, no cause; they are told while the version that decided still serves.
    """
    record = recorded_decision(parts, caller, decision_id)
    spoken = Voice.RECIPIENT if caller.subject_key is not None else voice or Voice.OPERATOR
    told = {
        "decision_id": decision_id,
        "outcome": record["outcome"],
        "reason": record["reason"],
        "action_probability": record["action_probability"],
        "voice": spoken,
        "sentences": sentences(record, spoken),
    }
    if spoken is Voice.RECIPIENT:
        return Explanation(**told)
    found = flips_of(parts.decisions, caller.tenant, record, parts.settings.legal_rules)
    added = contributions_of(parts.decider.model(), record) if contributions else None
    return Explanation(
        **told | {"sentences": [*told["sentences"], *(flip.told() for flip in found)]},
        passed=gates_passed(record),
        stages=stages_of(record),
        terms=terms_of(record),
        flips=found,
        contributions=None if isinstance(added, str) else added,
        contributions_missing=added if isinstance(added, str) else None,
    )
