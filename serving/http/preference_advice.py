"""``/v1/recipients/{id}/preferences/recommendations``: what a recipient's own answers suggest, and what they say to it.

Asking changes nothing. Only the recipient's act stores a preference: their own token, or a key with proof of the act.
"""

from typing import Annotated

from fastapi import APIRouter, Path
from prometheus_client import Counter
from pydantic import Field, JsonValue, StringConstraints

from adapters.postgres.preference_advice import UnknownRecommendation
from adapters.postgres.preferences import NotAllowed, RecipientGone, StoredPreference
from domain.preference_advice import Act, Advice, Answer, Kind
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.opt_out_signal import SignalOf
from serving.http.preferences import NOT_ALLOWED
from serving.http.problem_codes import declared
from serving.http.rate_limit import never_limited
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix=PREFIX + "/preferences/recommendations", tags=["preferences"])
NO_PROOF = declared("preference_advice.no_proof", 422, "A key accepts for a recipient only with proof of their act.")
_ADVICE = Counter("kairos_preference_advice", "Suggestions of preferences, by what came of them.", ("kind", "act"))
_SHOWN = "shown"
for _kind in Kind:
    for _act in (_SHOWN, *(each.value for each in Act)):
        _ADVICE.labels(_kind.value, _act)

RecommendationId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="As the list of them names it.")]
Writer = Annotated[Caller, permission("preferences:write")]


class Acceptance(Frozen):
    """That the recipient accepts; a key says how they did so, a recipient's own token need not."""

    proof: dict[Annotated[str, StringConstraints(min_length=1, max_length=100)], JsonValue] = Field(
        default_factory=dict,
        max_length=32,
        description="How the recipient said so, such as the page and the session; kept sealed in the audit trail.",
    )


@router.get("", summary="Ask what a recipient's answers suggest", responses=problems(404))
def get_recommendations(
    caller: Annotated[Caller, permission("preferences:read")], recipient_id: RecipientId, parts: PartsOf
) -> Advice:
    """Return at most one channel and one category to mute, and how often to get messages, each with its evidence.

    It learns from nobody but the recipient, from clicks and conversions of 180 days, and not from who refused to be
    profiled. Asking stores no preference. What is suggested is never a consent and lifts no denial.
    """
    now = parts.clock.now(caller.tenant)
    try:
        found = parts.preference_advice.of(caller.tenant, recipient_id, actor=caller.actor, now=now)
    except RecipientGone as error:
        raise _refused(error) from None
    for each in found.recommendations:
        _ADVICE.labels(each.kind.value, _SHOWN).inc()
    return found


@router.post("/{recommendation_id}/accept", summary="Accept a suggestion", responses=problems(404, 409, 422))
@never_limited
def accept_recommendation(
    caller: Writer,
    recipient_id: RecipientId,
    recommendation_id: RecommendationId,
    body: Annotated[Acceptance, body_of(Acceptance)],
    parts: PartsOf,
    signal: SignalOf,
) -> StoredPreference:
    """Store what is suggested as the recipient's own act; effective for every decision recorded from now on.

    Only what is suggested now can be accepted: it is worked out again with everything the recipient has said since.
    """
    if caller.recipient_id is None and not body.proof:
        problem = FieldError(field="proof", expected="how the recipient said so, or a token of the recipient's own")
        raise Refused(NO_PROOF, "Only the recipient can accept a suggestion.", errors=[problem])
    try:
        each, stored = parts.preference_advice.accept(
            caller.tenant,
            recipient_id,
            recommendation_id,
            actor=caller.actor,
            proof=body.proof,
            now=parts.clock.now(caller.tenant),
        )
    except (UnknownRecommendation, RecipientGone, NotAllowed) as error:
        raise _refused(error) from None
    _ADVICE.labels(each.kind.value, Act.ACCEPTED.value).inc()
    signal.heed(caller, recipient_id)
    return stored


@router.post("/{recommendation_id}/dismiss", summary="Dismiss a suggestion", responses=problems(404))
def dismiss_recommendation(
    caller: Writer, recipient_id: RecipientId, recommendation_id: RecommendationId, parts: PartsOf, signal: SignalOf
) -> Answer:
    """Remember that the recipient does not want it; no preference changes, and it is not suggested for 90 days."""
    now = parts.clock.now(caller.tenant)
    try:
        each, answer = parts.preference_advice.dismiss(
            caller.tenant, recipient_id, recommendation_id, actor=caller.actor, now=now
        )
    except (UnknownRecommendation, RecipientGone) as error:
        raise _refused(error) from None
    _ADVICE.labels(each.kind.value, Act.DISMISSED.value).inc()
    signal.heed(caller, recipient_id)
    return answer


def _refused(error: UnknownRecommendation | RecipientGone | NotAllowed) -> Refused:
    if isinstance(error, NotAllowed):
        found = [FieldError(field=each.field, expected=each.expected) for each in error.findings]
        return Refused(NOT_ALLOWED, "The tenant's policy does not allow this preference.", errors=found)
    if isinstance(error, RecipientGone):
        return Refused(ProblemCode.NOT_FOUND, "This recipient was deleted.")
    return Refused(ProblemCode.NOT_FOUND, "Nothing of this name is suggested to the recipient now.")
